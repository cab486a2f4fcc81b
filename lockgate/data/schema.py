"""The schema that people review: inferred, read, checked against and accepted on purpose."""

from typing import Any

from lockgate.data.profile import Profile
from lockgate.data.protos import dataset
from lockgate.data.tfdv import Tfdv
from lockgate.errors import ConfigError
from lockgate.records import Split


def infer(profile: Profile, tfdv: Tfdv) -> Any:
    """The `Schema` that TFDV infers from the train split."""
    return tfdv.infer(dataset(profile, "train"))


def parse(text: str, where: str = "schema.pbtxt") -> Any:
    """Reads a schema's text; `where` names it in errors.

    Raises:
        ConfigError: it is not the text of a tensorflow_metadata `Schema`.
    """
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    try:
        return text_format.Parse(text, schema_pb2.Schema())
    except text_format.ParseError as error:
        raise ConfigError(
            f"{where} is not a schema: {error}.",
            "It must be the text form of a tensorflow_metadata Schema.",
            "Mend that line, or delete the file and run `lockgate schema accept`.",
        ) from None


def text_of(schema: Any) -> str:
    """The schema's text form, as it is kept in Git."""
    from google.protobuf import text_format

    return str(text_format.MessageToString(schema, as_utf8=True))


def accepted(profile: Profile, reviewed: str, tfdv: Tfdv) -> str:
    """The text of a schema that allows every split of the profile.

    Without a reviewed one it is inferred from the train split, then widened by the others; with one it is
    widened as far as needed, so that the difference in Git shows what was accepted. What a person has
    narrowed and no row goes beyond stays as it is.
    """
    schema = parse(reviewed) if reviewed else infer(profile, tfdv)
    for split in profile.splits:
        schema = tfdv.update(schema, dataset(profile, split))
    return text_of(schema)


def anomalies(schema: Any, profile: Profile, tfdv: Tfdv) -> dict[Split, Any]:
    """The `Anomalies` of each split against the schema."""
    splits = list(profile.splits)
    return dict(zip(splits, tfdv.validate(schema, [dataset(profile, s) for s in splits]), strict=True))
