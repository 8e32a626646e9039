"""Builds lcx/export/page/lcx.html, the browser page as one file that works without a network: ``python scripts/page.py`` (``make page``).

Into index.html go the style sheet, the modules, the names of metrics, ONNX Runtime Web from its npm package (MIT), and the default model as
ONNX; runtime and model as base64 of gzip. Needs npm, and lcx[onnx] unless a finished ONNX file is given. The file is no part of the
repository; a wheel built while it is there carries it.
"""

import argparse
import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from lcx.export.onnx import export
from lcx.files import write_text

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "lcx" / "export" / "page"
NAMES = ROOT / "lcx" / "readers" / "metric_names.json"
PACKAGE = "onnxruntime-web@1.22.0"  # later ones have a quarter more to unpack, and make a session more slowly (benchmarks/LOG.md)
FILES = {  # of the package, with SHA-256; the page's name of a module
    "ort.wasm.min.mjs": ("onnxruntime.mjs", "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265"),
    "ort-wasm-simd-threaded.mjs": ("wasm.mjs", "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8"),
    "ort-wasm-simd-threaded.wasm": ("wasm", "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4"),
}


def main() -> None:
    """Builds the page and says how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="an ONNX file of lcx export; default: export the default model now")
    parser.add_argument("--package", type=Path, help="the npm package as .tgz; default: fetch it with npm")
    parser.add_argument("--out", type=Path, default=FOLDER / "lcx.html")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            export(Path(folder) / "model.onnx")
        model = Path(options.model or Path(folder) / "model.onnx").read_bytes()
        runtime = read_runtime(options.package or fetch(Path(folder)))
    write_text(page(runtime, model), options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


def fetch(folder: Path) -> Path:
    """The npm package, fetched into ``folder``."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("expected npm to fetch ONNX Runtime Web, got none; install Node.js, or give the package with --package")
    subprocess.run([npm, "pack", "--silent", PACKAGE], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("*.tgz"))


def read_runtime(package: Path) -> dict[str, bytes]:
    """The files needed of the package by their names in the page, each with the hash noted here."""
    found = {}
    with tarfile.open(package) as archive:
        for name, (own, known) in FILES.items():
            member = archive.extractfile(f"package/dist/{name}")
            found[own] = member.read() if member else b""
            digest = hashlib.sha256(found[own]).hexdigest()
            if digest != known:
                raise ValueError(f"expected {name} of {PACKAGE} with SHA-256 {known}, got {digest}; fetch that version again")
    return found


def page(runtime: dict[str, bytes], model: bytes) -> str:
    """index.html with everything in it."""
    html = (FOLDER / "index.html").read_text()
    style = f"<style>\n{(FOLDER / 'page.css').read_text()}</style>"
    modules = {path.name: path.read_bytes() for path in FOLDER.glob("*.js")} | runtime
    modules["metric_names.js"] = b"export default " + NAMES.read_bytes()

    def inlined(found: re.Match[str]) -> str:
        imports = {name: inline(modules[file.removeprefix("./")]) for name, file in json.loads(found[1])["imports"].items()}
        packed = (
            f'<script type="text/plain" id="{name}">{pack(data)}</script>' for name, data in (("wasm", runtime["wasm"]), ("model", model))
        )
        return "\n".join([*packed, f'<script type="importmap">{json.dumps({"imports": imports})}</script>'])

    html = re.sub(r'<link rel="stylesheet" href="page.css">', lambda _: style, html)
    return re.sub(r'<!-- scripts/page.py.*?-->\n<script type="importmap">\n(.*?)\n</script>', inlined, html, flags=re.DOTALL)


def inline(module: bytes) -> str:
    """A module as data: URL."""
    return "data:text/javascript;base64," + base64.b64encode(module).decode()


def pack(data: bytes) -> str:
    """Base64 of gzip, the same for the same data."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


if __name__ == "__main__":
    main()
