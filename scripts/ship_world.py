"""Puts a built world of seed 0 into the package: python scripts/ship_world.py FOLDER, then run the tests.

FOLDER is what ``polypatch world build --cache-dir DIR`` printed, with ``--speaking`` or without. The weights are kept
in half precision; what is shipped is checked against the texts of the generator as it is now.
"""

import argparse
import json
import shutil
from pathlib import Path

from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from polypatch.world import WorldConfig
from polypatch.world import shipped as classifier
from polypatch.world.cache import put
from polypatch.world.speaking import SpeakingConfig
from polypatch.world.speaking import shipped as speaking
from polypatch.world.speaking.data import make_sets
from polypatch.world.universe import make_universe


def main(folder: Path) -> None:
    """Ship the world in `folder`."""
    if "ForSequenceClassification" in AutoConfig.from_pretrained(folder).architectures[0]:
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype="float32")
        place = classifier.FOLDER
        checksum = classifier.texts_checksum(make_universe(WorldConfig(), classifier.SEED))
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="float32")
        place = speaking.FOLDER
        checksum = speaking.texts_checksum(make_sets(SpeakingConfig(), classifier.SEED))
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def write(path: Path) -> None:
        model.half().save_pretrained(path)
        tokenizer.save_pretrained(path)
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        # As it is used: whoever loads it gets single precision.
        config["dtype"] = "float32"
        (path / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (path / classifier.TEXTS).write_text(json.dumps({"sha256": checksum}) + "\n", encoding="utf-8")

    shutil.rmtree(place, ignore_errors=True)
    put(place, write)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    main(parser.parse_args().folder)
