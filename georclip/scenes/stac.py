"""STAC items: which asset is the scene, and when it was taken."""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Mapping
from datetime import datetime
from http.client import HTTPException
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

from georclip.errors import SceneError
from georclip.scenes.access import Access, is_remote
from georclip.scenes.dates import parse_moment

_MOST_BYTES = 16 * 1024 * 1024
_CONNECT_S = 10
_PREFERRED_KEYS = ("visual", "image", "data", "analytic", "raster", "mosaic")
_SIDE_ROLES = frozenset({"thumbnail", "overview", "metadata", "cloud", "data-mask", "snow-ice"})
_RASTER_SUFFIXES = (".tif", ".tiff", ".jp2", ".vrt")
_RASTER_TYPES = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff")


def is_item_name(text: str) -> bool:
    """Say whether a path or URL looks like a STAC item's."""
    return text.split("?")[0].lower().endswith((".json", ".geojson"))


def resolve_item(uri: str, access: Access) -> tuple[str, datetime | None]:
    """Find the raster that a STAC item describes.

    Args:
        uri: Absolute path or http(s) URL of the item.
        access: Where its asset may lie, beside the item's own folder.

    Returns:
        The asset's absolute uri, and the item's datetime.

    Raises:
        SceneError: Not an item, no single raster among its assets, or one that may not be read.
    """
    item = _load(uri)
    assets = item.get("assets")
    if item.get("type") != "Feature" or not isinstance(assets, dict):
        raise SceneError(f"{uri}: is JSON but no STAC item: name the raster itself")
    href = _choose_asset(uri, assets)
    if is_remote(uri):
        folder = posixpath.dirname(uri)
        target = urljoin(uri, href)
    else:
        folder = os.path.dirname(uri)
        target = href if is_remote(href) else os.path.abspath(os.path.join(folder, href))
    if not access.permits(target, folder):
        option = (
            "--allow-remote"
            if is_remote(target)
            else f"--allow-outside {os.path.dirname(target) or '/'}"
        )
        raise SceneError(
            f"{uri}: this STAC item names {target[:200]!r}: if you trust it, allow that "
            f"with {option}"
        )
    return target, _item_time(item)


def _load(uri: str) -> Mapping[str, Any]:
    try:
        if uri.startswith(("http://", "https://")):
            with urlopen(uri, timeout=_CONNECT_S) as answer:
                data = answer.read(_MOST_BYTES + 1)
        elif is_remote(uri):
            raise SceneError(f"{uri}: a STAC item is read from a file or over http(s) only")
        else:
            with open(uri, "rb") as file:
                data = file.read(_MOST_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:  # the last: an address that is none
        raise SceneError(f"{uri}: cannot be read ({error}): check the address") from None
    if len(data) > _MOST_BYTES:
        raise SceneError(f"{uri}: JSON of more than 16 MB is no STAC item: name the raster itself")
    try:
        item = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SceneError(f"{uri}: is no JSON ({error}): name the raster itself") from None
    if not isinstance(item, dict):
        raise SceneError(f"{uri}: is JSON but no STAC item: name the raster itself")
    return item


def _choose_asset(uri: str, assets: Mapping[str, Any]) -> str:
    """The href of the asset that is the scene."""
    rasters = {
        key: asset for key, asset in assets.items() if isinstance(asset, dict) and _is_raster(asset)
    }
    for key in _PREFERRED_KEYS:
        if key in rasters:
            return str(rasters[key]["href"])
    data = {key: asset for key, asset in rasters.items() if "data" in _roles(asset)}
    for group in (data, rasters):
        if len(group) == 1:
            return str(next(iter(group.values()))["href"])
    found = ", ".join(sorted(rasters)) or "none"
    raise SceneError(
        f"{uri}: a STAC item without a single raster to show (rasters: {found}): "
        "name the file wanted, or a VRT of its bands"
    )


def _is_raster(asset: Mapping[str, Any]) -> bool:
    if not isinstance(asset.get("href"), str) or _SIDE_ROLES & _roles(asset):
        return False
    kind = str(asset.get("type") or "").lower()
    name = asset["href"].split("?")[0].lower()
    return kind.startswith(_RASTER_TYPES) or name.endswith(_RASTER_SUFFIXES)


def _roles(asset: Mapping[str, Any]) -> set[str]:
    roles = asset.get("roles")
    return {role for role in roles if isinstance(role, str)} if isinstance(roles, list) else set()


def _item_time(item: Mapping[str, Any]) -> datetime | None:
    properties = item.get("properties")
    if not isinstance(properties, dict):
        return None
    for key in ("datetime", "start_datetime"):
        if isinstance(properties.get(key), str):
            return parse_moment(properties[key])
    return None
