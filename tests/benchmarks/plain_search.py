"""What people would otherwise write to ask a folder of vectors: FOLDER ARCHITECTURE QUESTION."""

import sys

import faiss
import geopandas
import open_clip
import torch

TEMPLATES = (
    "{}",
    "a satellite image of {}.",
    "an aerial image of {}.",
    "a satellite photo of {}.",
)

folder, architecture, question = sys.argv[1:]
model = open_clip.create_model(architecture, pretrained=f"{folder}/weights.safetensors").eval()
with torch.inference_mode():
    sentences = [template.format(question) for template in TEMPLATES]
    ids = open_clip.get_tokenizer(architecture)(sentences)
    rows = torch.nn.functional.normalize(model.encode_text(ids), dim=-1)
    vector = torch.nn.functional.normalize(rows.mean(dim=0, keepdim=True), dim=-1).numpy()
scores, rows = faiss.read_index(f"{folder}/vectors.faiss").search(vector, 10)
chips = geopandas.read_parquet(f"{folder}/chips.parquet").iloc[rows[0]]
print(chips.assign(score=scores[0]).to_json())
