"""What holds for every section: strict, frozen, described, and without defaults in Python."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from ingot.errors import InputError
from ingot.settings.everything import Settings
from ingot.settings.load import load
from ingot.settings.section import Section
from ingot.settings.wording import alternatives, resolve

ROOT = Path(__file__).resolve().parents[3]
# Entries of lists and mappings, and a section of which any key is enough.
ENTRIES = {"Source", "Fields", "Suite", "Gate", "Budget", "Ratios", "Pruning"}


def sections(of=Section):
    return [part for section in of.__subclasses__() for part in (section, *sections(section))]


def is_section(node):
    return any("properties" in resolve(choice) for choice in alternatives(node))


def test_no_setting_has_a_name_that_dvc_leaves_out_of_its_hashes():
    names = [(section.__name__, name) for section in sections() for name in section.model_fields]
    assert not [pair for pair in names if pair[1] in ("size", "nfiles")]


def test_every_setting_says_what_it_is():
    whole = Settings.model_json_schema()
    undescribed = [
        f"{title}.{name}"
        for title, section in {**whole["$defs"], "Settings": whole}.items()
        for name, node in section["properties"].items()
        if "description" not in node and not is_section(node)
    ]
    assert not undescribed
    assert all(section.__doc__ for section in sections())


def test_numbers_that_count_something_say_what():
    """A whole number without a unit is one that counts nothing: a seed, a rank, a width, a level, a name of a task."""
    whole = Settings.model_json_schema()
    without = {
        name
        for section in [*whole["$defs"].values(), whole]
        for name, node in section["properties"].items()
        if any(choice.get("type") == "integer" for choice in alternatives(node)) and "unit" not in node
    }
    assert without == {
        *("seed", "rank", "hidden", "feed_forward", "level"),
        *("unpacking", "permutations", "dimensions"),
        "first_choice",  # a place
        "length",  # of n-grams, in the unit that stands beside it
    }


def test_defaults_are_in_a_file_but_for_entries_of_lists():
    with_default = {
        section.__name__ for section in sections() for field in section.model_fields.values() if not field.is_required()
    }
    assert with_default == ENTRIES


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"adapt": {"training": {"rank": "5"}}}, "adapt.training.rank: '5' is given"),
        ({"adapt": {"training": {"rank": 5.0}}}, "adapt.training.rank: 5.0 is given"),
        ({"adapt": {"training": {"rank": True}}}, "adapt.training.rank: true is given"),
        ({"adapt": {"training": {"packing": 1}}}, "adapt.training.packing: 1 is given"),
        ({"adapt": {"training": {"packing": "yes"}}}, "adapt.training.packing: 'yes' is given"),
        ({"adapt": {"training": {"dropout": False}}}, "adapt.training.dropout: false is given"),
        ({"adapt": {"training": {"dropout": "0.1"}}}, "adapt.training.dropout: '0.1' is given"),
        ({"judge": {"model": 4}}, "judge.model: 4 is given"),
        ({"modifiers": {"teach": {"tiers": [{"name": "a", "share": 1, "reference": 1}]}}}, "reference: only `true`"),
    ],
)
def test_nothing_is_converted(change, key):
    with pytest.raises(InputError, match=key):
        load(change, ROOT)


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"adapt": {"training": {"learning_rate": "5e-6"}}}, "YAML reads this as text: write 5.0e-06, without quotes"),
        ({"adapt": {"training": {"rank": "16"}}}, "YAML reads this as text: write 16, without quotes"),
        ({"filter": {"language": {"wanted": False}}}, "YAML reads yes, no, on and off as true and false: put the text"),
        ({"prune": {"structure": 124}}, "YAML reads it as a number: put the text in quotes"),
    ],
)
def test_what_yaml_takes_for_something_else_is_explained(change, advice):
    with pytest.raises(InputError, match=advice):
        load(change, ROOT)


def test_a_whole_number_will_do_for_any_number():
    training = load({"adapt": {"training": {"alpha": 8, "trainable_share": [0, 1]}}}, ROOT).adapt.training
    assert training.alpha == 8.0
    assert training.trainable_share == (0.0, 1.0)


def test_settings_cannot_be_changed():
    settings = load({}, ROOT)
    with pytest.raises(ValidationError, match="frozen"):
        settings.adapt.training.rank = 8


def test_settings_come_back_from_json_as_they_were():
    settings = load({}, ROOT)
    assert Settings.model_validate(json.loads(settings.model_dump_json())) == settings
    assert type(settings.adapt).model_validate_json(settings.adapt.model_dump_json()) == settings.adapt
