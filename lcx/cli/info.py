"""``lcx info``: versions, the default device and the shipped models."""

import json
import platform

import typer


def info(as_json: bool = typer.Option(False, "--json", help="Print JSON.")) -> None:
    """Show versions, the default device and the shipped models."""
    from importlib.metadata import version

    import torch

    from lcx.extrapolator import DEFAULT, load, models_folder
    from lcx.pfn import read_config

    models = {}
    for path in sorted(models_folder().glob("*/config.json")):
        about = read_config(path.parent)
        parameters = sum(p.numel() for p in load(path.parent, "cpu").model.parameters())
        models[path.parent.name] = {
            "prior": about.get("prior"),
            "parameters": parameters,
            "curves_seen": about.get("curves_seen"),
            "default": path.parent.name == DEFAULT,
            "folder": str(path.parent),
        }
    facts = {
        "lcx": version("lcx"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": f"cuda ({torch.cuda.get_device_name()})" if torch.cuda.is_available() else "cpu",
        "models": models,
    }
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for name in ("lcx", "python", "torch", "device"):
        print(f"{name:<8}{facts[name]}")
    for name, model in models.items():
        default = ", the default" if model["default"] else ""
        print(f"model   {name}{default}: {model['parameters']:,} parameters, {model['curves_seen']:,} curves, {model['folder']}")
