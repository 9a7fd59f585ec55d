"""What people would otherwise write to ask a folder of vectors: FOLDER ARCHITECTURE QUESTION."""

import sys

import faiss
import geopandas
import open_clip
import torch

folder, architecture, question = sys.argv[1:]
model = open_clip.create_model(architecture, pretrained=f"{folder}/weights.safetensors").eval()
with torch.inference_mode():
    ids = open_clip.get_tokenizer(architecture)([question])
    vector = torch.nn.functional.normalize(model.encode_text(ids), dim=-1).numpy()
scores, rows = faiss.read_index(f"{folder}/vectors.faiss").search(vector, 10)
chips = geopandas.read_parquet(f"{folder}/chips.parquet").iloc[rows[0]]
print(chips.assign(score=scores[0]).to_json())
