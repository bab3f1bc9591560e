"""Turns config/litellm/dev.yaml into the configuration that the development proxy runs with.

Models whose provider key is not in the environment go to the echo server, at their own price. The guardrails of a
package that is not installed are left out, with a message.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import sys

import yaml


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--echo", required=True, help="base URL of the echo server, with /v1")
    parser.add_argument("--without", action="append", default=[], choices=["guardrails", "database"])
    parser.add_argument("source")
    parser.add_argument("target")
    options = parser.parse_args()

    with open(options.source, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    prices = price_map()
    for entry in config["model_list"]:
        if answer_by_echo(entry, options.echo):
            set_price(entry, prices)
    if "guardrails" in options.without:
        config["guardrails"] = []
    if "database" in options.without:
        del config["general_settings"]["database_url"]
    config["guardrails"] = [guard for guard in config["guardrails"] if is_installed(guard)]
    with open(options.target, "w", encoding="utf-8") as file:
        file.write(f"# Made from {options.source}; changes here are lost.\n")
        yaml.safe_dump(config, file, sort_keys=False)
    return 0


def answer_by_echo(entry: dict, echo: str) -> bool:
    """Sends a model to the echo server unless the environment holds the key that it names."""
    params = entry["litellm_params"]
    prefix, _, variable = params["api_key"].partition("/")
    if prefix == "os.environ":
        if os.environ.get(variable):
            return False
        model = params["model"].rpartition("/")[2]
        params.update(model=f"openai/{model}", api_base=echo, api_key="echo")
    return True


def set_price(entry: dict, prices: dict) -> None:
    """Writes the real model's price down: LiteLLM does not find it for a provider that is not the model's own."""
    known = prices[entry["model_info"].pop("base_model")]
    for field in ("input_cost_per_token", "output_cost_per_token"):
        if field in known:
            entry["litellm_params"][field] = known[field]


def price_map() -> dict:
    """The map inside the LiteLLM package, found without importing it, which takes seconds."""
    package = importlib.util.find_spec("litellm").submodule_search_locations[0]
    file = pathlib.Path(package, "model_prices_and_context_window_backup.json")
    return json.loads(file.read_text(encoding="utf-8"))


def is_installed(guard: dict) -> bool:
    module = guard["litellm_params"]["guardrail"].rpartition(".")[0]
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        found = None
    if not found:
        print(f"dev: {module} is not installed: LiteLLM runs without it", file=sys.stderr)
    return found is not None


if __name__ == "__main__":
    sys.exit(main())
