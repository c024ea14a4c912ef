from pathlib import Path

import pytest

from polypatch.world import World, WorldConfig, load_world

TINY = WorldConfig(
    persons=8,
    films=6,
    companies=6,
    edit_facts=40,
    test_facts=8,
    val_facts=6,
    vocabulary=1500,
    hidden=32,
    heads=2,
    pretrain_steps=3,
    pretrain_batch=10,
    epochs=1,
)


@pytest.fixture
def tiny_config() -> WorldConfig:
    return TINY


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("polypatch-cache")


@pytest.fixture(scope="session")
def tiny_world(tiny_cache: Path) -> World:
    return load_world(3, tiny_cache, config=TINY)
