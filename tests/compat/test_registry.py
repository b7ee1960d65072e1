"""Which class implements a codec in the facade."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fastzarr.codecs import parse
from fastzarr.compat import registry
from fastzarr.compat.codecs import BytesCodec, GzipCodec
from fastzarr.compat.codecs.bridge import inner_codec, outer_codec
from fastzarr.compat.core.codec_pipeline import BatchedCodecPipeline, notice_pipeline
from fastzarr.compat.core.config import BadConfigError, config
from fastzarr.errors import UnknownCodecError, ZarrUserWarning

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Nothing public takes a class away again.
KNOWN: dict[str, Any] = vars(registry)["_codec_registries"]


class MyGzip(GzipCodec):
    """A codec of others under a name of zarr-python."""


@pytest.fixture
def registered() -> Iterator[str]:
    registry.register_codec("gzip", MyGzip)
    yield registry.fully_qualified_name(MyGzip)
    del KNOWN["gzip"][registry.fully_qualified_name(MyGzip)]


def test_classes_are_known_by_their_names_in_zarr_python() -> None:
    assert registry.fully_qualified_name(GzipCodec) == "zarr.codecs.gzip.GzipCodec"
    assert registry.get_codec_class("gzip") is GzipCodec
    assert registry.get_pipeline_class() is BatchedCodecPipeline
    with pytest.raises(UnknownCodecError, match="imagecodecs-zarr"):
        registry.get_codec_class("imagecodecs_png")


def test_the_settings_choose_among_several_classes(registered: str) -> None:
    assert registry.get_codec_class("gzip") is GzipCodec
    with config.set({"codecs.gzip": registered}):
        assert registry.get_codec_class("gzip") is MyGzip
    with config.set({"codecs.gzip": "mine.Missing"}), pytest.raises(BadConfigError, match="gzip"):
        registry.get_codec_class("gzip")


def test_documents_are_read_with_the_class_that_is_chosen(registered: str) -> None:
    document = {"name": "gzip", "configuration": {"level": 1}}
    with config.set({"codecs.gzip": registered}):
        assert type(outer_codec(parse(document))) is MyGzip
        assert type(outer_codec(inner_codec(document))) is MyGzip
    assert type(outer_codec(parse(document))) is GzipCodec


def test_one_of_several_is_chosen_with_a_warning() -> None:
    class First(BytesCodec):
        pass

    class Second(BytesCodec):
        pass

    registry.register_codec("example.two", First)
    assert registry.get_codec_class("example.two") is First
    registry.register_codec("example.two", Second)
    with pytest.warns(ZarrUserWarning, match="not configured"):
        assert registry.get_codec_class("example.two") is Second
    KNOWN.pop("example.two")


def test_a_subclass_comes_back_as_the_very_object() -> None:
    codec = MyGzip(level=2)
    assert outer_codec(inner_codec(codec)) is codec


def test_a_pipeline_of_others_has_no_effect_and_a_warning_says_so_once() -> None:
    class Foreign(BatchedCodecPipeline):
        pass

    registry.register_pipeline(Foreign)
    path = registry.fully_qualified_name(Foreign)
    with config.set({"codec_pipeline.path": path}):
        assert registry.get_pipeline_class() is Foreign
        with pytest.warns(ZarrUserWarning, match="no effect"):
            notice_pipeline()
        notice_pipeline()
    with config.set({"codec_pipeline.path": "mine.Missing"}), pytest.raises(BadConfigError):
        registry.get_pipeline_class()


def test_a_codec_of_numcodecs_is_found_by_its_id() -> None:
    assert registry.get_numcodec({"id": "zlib", "level": 1}).level == 1
    with pytest.raises(UnknownCodecError, match="gribscan"):
        registry.get_numcodec({"id": "rawgrib"})


def test_entry_points_are_loaded_when_they_are_asked_for() -> None:
    shapes: Any = registry.Registry[object]()
    shapes.lazy_load_list.append(registry.EntryPoint("fraction", "fractions:Fraction", "shapes"))
    assert not shapes
    shapes.lazy_load(use_entrypoint_name=True)
    assert list(shapes) == ["fraction"]
