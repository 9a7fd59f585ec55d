"""Options that click does not have: bbox in both forms, sizes, lists of numbers."""

import click
import pytest
from click.testing import CliRunner

from georclip.cli.options import BboxOption, ByteSize, Numbers


@click.command()
@click.argument("text")
@click.option("--bbox", cls=BboxOption)
@click.option("--memory", type=ByteSize(), default="1GB")
@click.option("--bands", type=Numbers(whole=True, count=3))
@click.option("--scales", type=Numbers())
@click.option("-k", type=int)
def echo(text, bbox, memory, bands, scales, k):
    click.echo(repr((text, bbox, memory, bands, scales, k)))


def parse(*arguments):
    outcome = CliRunner().invoke(echo, list(arguments))
    return eval(outcome.output) if outcome.exit_code == 0 else outcome


@pytest.mark.parametrize(
    "arguments",
    [
        ("ships", "--bbox", "-76.8,34.6,-76.5,34.8"),
        ("ships", "--bbox=-76.8,34.6,-76.5,34.8"),
        ("ships", "--bbox", "-76.8", "34.6", "-76.5", "34.8"),
        ("--bbox", "-76.8", "34.6", "-76.5", "34.8", "ships"),
        ("--bbox", "-76.8,34.6,-76.5,34.8", "ships"),
    ],
)
def test_bbox_takes_both_forms_with_negative_numbers(arguments):
    text, bbox, *_ = parse(*arguments)
    assert (text, bbox) == ("ships", "-76.8,34.6,-76.5,34.8")


def test_bbox_leaves_later_options_alone():
    text, bbox, _, _, _, k = parse("ships", "--bbox", "1", "2", "3", "-k", "5")
    assert (text, bbox, k) == ("ships", "1,2,3", 5)


def test_bbox_of_words_is_handed_on_for_a_clear_error():
    assert parse("--bbox", "here", "ships")[1] == "here"


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 10**9), ("800MB", 8 * 10**8), ("1.5g", 15 * 10**8), ("64000000", 64_000_000)],
)
def test_sizes(text, size):
    assert parse("x", "--memory", text)[2] == size


@pytest.mark.parametrize("text", ["much", "-1GB", "1MB", ""])
def test_bad_sizes_are_wrong_usage(text):
    outcome = parse("x", "--memory", text)
    assert outcome.exit_code == 2
    assert "Error" in outcome.stderr


def test_lists_of_numbers():
    assert parse("x", "--bands", "3,2,1", "--scales", "0.5,1")[3:5] == ((3, 2, 1), (0.5, 1.0))


@pytest.mark.parametrize("bands", ["3,2", "3,2,1,4", "a,b,c", "3.5,2,1"])
def test_bad_lists_are_wrong_usage(bands):
    assert parse("x", "--bands", bands).exit_code == 2
