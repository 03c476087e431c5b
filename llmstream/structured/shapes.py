"""Shapes of values that are still being written: which of their parts can be shown, and as what.

A shape knows how to begin an empty value of its type, to put a part into it, and to check a part that is whole. A model
under construction is a real instance of its class: what has not come is None (a key of a TypedDict is absent), and its
own validators wait for the end.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from functools import cached_property
from typing import Annotated, Any, TypeAlias

import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic_core import to_json

Key: TypeAlias = str | int
_Fields: TypeAlias = dict[str, tuple[str, Any]]
"""By the key in JSON: the attribute and its annotation."""

_LISTS = (list, Sequence, MutableSequence)
_DICTS = (dict, Mapping, MutableMapping)
_PLAIN = (str, int, float, bool)
_REQUIRED = {
    *(typing.Required, typing.NotRequired),
    *(typing_extensions.Required, typing_extensions.NotRequired, typing_extensions.ReadOnly),
}
_ALIASES = (
    typing_extensions.TypeAliasType,
    getattr(typing, "TypeAliasType", typing_extensions.TypeAliasType),
)
"""Those of `type X = …` are Python's own, which typing_extensions leaves apart from its own before Python 3.14."""


class Shape:
    """A value that isn't shown before it is whole: a number, a date, or one of several types."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    shows_text = False
    """A string is shown while it grows."""

    def empty(self, *, is_list: bool) -> Any:
        """A value with nothing in it yet, for a JSON list or object; None when nothing can be shown."""
        return None

    def child(self, key: Key) -> Shape | None:
        """The shape of a part; None when the type knows no such part."""
        return None

    def put(self, value: Any, key: Key, part: Any) -> None:
        """Put a part in, or in place of what was there."""

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.annotation)

    def check(self, value: Any) -> Any:
        """The whole JSON value as one of this type. Raises ValueError."""
        if type(value) is self.annotation and self.annotation in _PLAIN:
            return value
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            # Strict models take from JSON what they don't take from Python: a date in a string, a list for a tuple.
            return self._adapter.validate_json(to_json(value))
        except PydanticUserError as error:
            raise ValueError(str(error)) from None


class Text(Shape):
    """A string."""

    shows_text = True


class Json(Shape):
    """Any value."""

    shows_text = True

    def empty(self, *, is_list: bool) -> Any:
        """A list or a dict, as it comes."""
        return [] if is_list else {}

    def child(self, key: Key) -> Shape:
        """Any value."""
        return self

    def put(self, value: Any, key: Key, part: Any) -> None:
        """Into the list or the dict."""
        _put(value, key, part)

    def check(self, value: Any) -> Any:
        """Anything is right."""
        return value


class Items(Shape):
    """A list, or a dict of any keys."""

    def __init__(self, annotation: Any, item: Any, *, is_list: bool) -> None:
        super().__init__(annotation)
        self._item = item
        self._is_list = is_list

    def empty(self, *, is_list: bool) -> Any:
        """A list or a dict; None if the other one came."""
        if is_list != self._is_list:
            return None
        return [] if is_list else {}

    def child(self, key: Key) -> Shape:
        """The shape of every item."""
        return self._shape

    @cached_property
    def _shape(self) -> Shape:
        """Made when needed: a type may hold itself."""
        return shape_of(self._item)

    def put(self, value: Any, key: Key, part: Any) -> None:
        """Into the list or the dict."""
        _put(value, key, part)


class Fields(Shape):
    """A TypedDict: an object of known keys."""

    def __init__(self, annotation: Any, cls: Any, fields: _Fields) -> None:
        super().__init__(annotation)
        self._class = cls
        self._fields = fields
        self._names = [name for name, _ in fields.values()]
        self._shapes: dict[Key, Shape] = {}

    def empty(self, *, is_list: bool) -> Any:
        """An instance with nothing in it yet; None if a list came."""
        return None if is_list else self._begin()

    def child(self, key: Key) -> Shape | None:
        """The shape of that field; None for a key that the class doesn't have."""
        if key not in self._shapes and key in self._fields:
            self._shapes[key] = shape_of(self._fields[str(key)][1])
        return self._shapes.get(key)

    def put(self, value: Any, key: Key, part: Any) -> None:
        """Set the field, frozen or not."""
        self._set(value, self._fields[str(key)][0], part)

    def _begin(self) -> Any:
        return {}

    def _set(self, value: Any, name: str, part: Any) -> None:
        value[name] = part


class DataclassFields(Fields):
    """A dataclass. What has not come is None."""

    def _begin(self) -> Any:
        value = self._class.__new__(self._class)
        for name in self._names:
            object.__setattr__(value, name, None)
        return value

    def _set(self, value: Any, name: str, part: Any) -> None:
        object.__setattr__(value, name, part)


class ModelFields(Fields):
    """A pydantic model. What has not come is None."""

    def _begin(self) -> Any:
        # As model_construct does, but without the class's own hooks.
        value = self._class.__new__(self._class)
        object.__setattr__(value, "__dict__", dict.fromkeys(self._names))
        object.__setattr__(value, "__pydantic_fields_set__", set())
        object.__setattr__(value, "__pydantic_extra__", None)
        object.__setattr__(value, "__pydantic_private__", None)
        return value

    def _set(self, value: Any, name: str, part: Any) -> None:
        vars(value)[name] = part
        value.__pydantic_fields_set__.add(name)


def _put(value: Any, key: Key, part: Any) -> None:
    if isinstance(value, dict) or key != len(value):
        value[key] = part
    else:
        value.append(part)


def wrapper(name: str, annotation: Any) -> Shape:
    """An object with one property."""
    return Fields(dict, dict, {name: (name, annotation)})


def shape_of(annotation: Any) -> Shape:
    """The shape of a type."""
    bare = _bare(annotation)
    origin, arguments = typing.get_origin(bare) or bare, typing.get_args(bare)
    if origin in (typing.Union, types.UnionType):
        return _choice(annotation, [member for member in arguments if member is not types.NoneType])
    if bare in (Any, object):
        return Json(annotation)
    if bare is str:
        return Text(annotation)
    if origin in _LISTS:
        item, *_ = arguments or (Any,)
        return Items(annotation, item, is_list=True)
    if origin in _DICTS:
        key, item = arguments or (Any, Any)
        has_text_keys = _bare(key) in (str, Any)
        return Items(annotation, item, is_list=False) if has_text_keys else Shape(annotation)
    return _class_shape(annotation, bare)


def _choice(annotation: Any, members: list[Any]) -> Shape:
    """One of several: shown early only if it is clear which, or if any could be text."""
    if len(members) == 1:
        shape = shape_of(members[0])
        shape.annotation = annotation
        return shape
    bare = [_bare(member) for member in members]
    is_plain = all(member in _PLAIN for member in bare)
    return Text(annotation) if str in bare and is_plain else Shape(annotation)


def _bare(annotation: Any) -> Any:
    """The type without what is only said about it."""
    while True:
        origin = typing.get_origin(annotation)
        if origin is Annotated or origin in _REQUIRED:
            annotation = typing.get_args(annotation)[0]
        elif hasattr(annotation, "__supertype__"):  # NewType
            annotation = annotation.__supertype__
        elif isinstance(annotation, _ALIASES) and not annotation.__type_params__:
            annotation = annotation.__value__
        else:
            return annotation


def _class_shape(annotation: Any, cls: Any) -> Shape:
    """The shape of a class whose fields are known, and of any other type."""
    if not isinstance(cls, type) or issubclass(cls, RootModel):
        return Shape(annotation)
    if issubclass(cls, BaseModel):
        return ModelFields(annotation, cls, _model_fields(cls))
    if typing_extensions.is_typeddict(cls):
        return Fields(annotation, cls, _by_keys(_hints(cls), cls))
    if is_dataclass(cls):
        hints = _hints(cls)
        named = {field.name: hints.get(field.name, Any) for field in dataclass_fields(cls)}
        return DataclassFields(annotation, cls, _by_keys(named, cls))
    return Shape(annotation)


def _by_keys(hints: dict[str, Any], cls: Any) -> _Fields:
    """The fields of a dataclass or a TypedDict, by the keys that pydantic takes for them."""
    known = getattr(cls, "__pydantic_fields__", {})
    config = getattr(cls, "__pydantic_config__", {})
    found: _Fields = {}
    for name, hint in hints.items():
        annotation, said = _split(hint)
        for key in _keys(name, known.get(name) or said, config):
            found[key] = (name, annotation)
    return found


def _split(hint: Any) -> tuple[Any, FieldInfo | None]:
    """A field's annotation, and what `Field()` says in it: an alias means nothing to a value alone."""
    while typing.get_origin(hint) in _REQUIRED:
        hint = typing.get_args(hint)[0]
    metadata = getattr(hint, "__metadata__", ())
    field = next((each for each in metadata if isinstance(each, FieldInfo)), None)
    if field is None:
        return hint, None
    rest = [each for each in metadata if each is not field]
    whole = (typing.get_args(hint)[0], *rest, *field.metadata)
    return (Annotated[whole] if len(whole) > 1 else whole[0]), field


def _keys(name: str, field: FieldInfo | None, config: Mapping[str, Any]) -> list[str]:
    """The keys of an object that may hold a field."""
    alias = None if field is None else field.validation_alias or field.alias
    if alias is None:
        return [name]
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    paths = [choice.path if isinstance(choice, AliasPath) else [choice] for choice in choices]
    keys = [str(path[0]) for path in paths if len(path) == 1]
    by_name = config.get("populate_by_name") or config.get("validate_by_name")
    return [*keys, name] if by_name else keys


def _model_fields(cls: type[BaseModel]) -> _Fields:
    found = {}
    for name, field in cls.model_fields.items():
        annotation = (
            Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
        )
        for key in _keys(name, field, cls.model_config):
            found[key] = (name, annotation)
    return found


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing_extensions.get_type_hints(cls, include_extras=True)
    except NameError:  # a name that only pydantic can see, such as a class inside a function
        return {}
