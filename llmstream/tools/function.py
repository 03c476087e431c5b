"""A tool that can be run: a Python function, with the schema that the model is given and the check of what it sends."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any, NotRequired, Required, overload

from docstring_parser import ParseError, parse
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_json
from typing_extensions import TypedDict

from llmstream.checks import require
from llmstream.messages import File, ImagePart, Tool
from llmstream.structured.answer_type import adapt, problems_of
from llmstream.structured.json_schema_check import check, compile_patterns, describe
from llmstream.structured.schema import NotStrictError, strict_schema
from llmstream.thread import in_thread

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class ArgumentsError(ValueError):
    """Arguments that the tool doesn't take; the message tells the model what to mend."""


@dataclass(slots=True, kw_only=True)
class FunctionTool(Tool):
    """A `Tool` with the function that it stands for; goes wherever a Tool goes. Made by `tool()`."""

    function: Callable[..., Any] = field(repr=False)
    adapter: TypeAdapter[Any] | None = field(repr=False, compare=False)
    """What checks the arguments; None: `schema` does."""
    schema: Mapping[str, Any] = field(repr=False)
    """What the arguments must follow; `parameters` is the form of it that is sent."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function itself: decorating it changes nothing for those who call it."""
        return self.function(*args, **kwargs)

    def parse(self, arguments: str) -> dict[str, Any]:
        """The model's arguments as the function takes them. Raises ArgumentsError."""
        if arguments.strip() in ("", "null"):
            arguments = "{}"
        if self.adapter is not None:
            try:
                parsed: dict[str, Any] = self.adapter.validate_json(arguments)
            except ValidationError as error:
                raise ArgumentsError(describe(problems_of(error))) from None
            return parsed
        try:
            value: dict[str, Any] = json.loads(arguments)
        except (ValueError, RecursionError) as error:
            raise ArgumentsError(f"not JSON: {error}") from None
        require(isinstance(value, dict), "the arguments must be an object", ArgumentsError)
        try:
            problems = check(value, self.schema)
        except ValueError as error:
            raise ArgumentsError(str(error)) from None
        require(not problems, describe(problems), ArgumentsError)
        return value

    async def run(self, arguments: str) -> str:
        """Check the arguments, call the function, and give its result as text.

        An async function runs here, another one in a thread of its own (which nobody can stop: it ends when it ends,
        or with the program). What a generator yields is a list. Raises ArgumentsError, TypeError for a result that is
        no text and no JSON, and what the function raises.
        """
        given = self.parse(arguments)
        function = self.function
        kinds = (function, type(function).__call__)
        if any(map(inspect.iscoroutinefunction, kinds)):
            return render_result(await function(**given))
        if any(map(inspect.isasyncgenfunction, kinds)):
            async with aclosing(function(**given)) as items:
                return render_result([item async for item in items])
        result = await in_thread(lambda: _call(function, given))
        return result if isinstance(result, str) else render_result(await result)


@overload
def tool(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    strict: bool | None = None,
) -> FunctionTool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    strict: bool | None = None,
) -> Callable[[Callable[..., Any]], FunctionTool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    strict: bool | None = None,
) -> FunctionTool | Callable[[Callable[..., Any]], FunctionTool]:
    """A tool made of a function: `@tool`, `@tool(name=…)` or `tool(function)`.

    The name, the description and those of the parameters come from the function and its docstring (Google, NumPy or
    Sphinx style) or from `Annotated[str, Field(description="…")]`; types and defaults from the signature. `parameters`
    is a JSON schema in place of the signature: the function gets its properties as keyword arguments. It may be a
    stranger's: a check takes at most half a second, and a `pattern` with look-around or a backreference is not checked,
    which the log says. With
    `strict=True` vendors that can hold the model to the schema do; every parameter is then required.

    Raises TypeError for a parameter that the model can't be told about, ValueError for a name or a `strict` schema that
    no vendor takes.
    """
    if function is None:
        return lambda given: tool(
            given, name=name, description=description, parameters=parameters, strict=strict
        )
    if isinstance(function, FunctionTool):
        function = function.function
    require(callable(function), f"a tool is made of a function, not of {function!r}", TypeError)
    name = str(name or getattr(function, "__name__", None) or type(function).__name__)
    require(
        _NAME.fullmatch(name),
        f"no vendor takes the tool name {name!r}: give name= of letters, digits, _ and -, at most 64",
    )
    documentation = _Documentation(function)
    if parameters is not None:
        adapter, schema = None, _check_parameters(name, parameters)
    else:
        adapter, schema = _describe_signature(name, function, documentation)
    return FunctionTool(
        name,
        _strict(name, schema) if strict else dict(schema),
        documentation.text if description is None else description,
        strict,
        function=function,
        adapter=adapter,
        schema=schema,
    )


def render_result(result: Any) -> str:
    """A tool's result as text. Raises TypeError for what is neither text nor JSON."""
    if isinstance(result, str):
        return result if result.isascii() else result.encode(errors="replace").decode()
    try:
        if isinstance(result, bytes | bytearray | memoryview | ImagePart | File):
            raise TypeError("binary")  # noqa: TRY301  # the same message as below
        return to_json(result, inf_nan_mode="strings").decode()
    except (PydanticSerializationError, TypeError, ValueError):
        raise TypeError(
            f"the tool returned a {type(result).__name__}; return text, JSON values, a dataclass or a pydantic model"
        ) from None


def _call(function: Callable[..., Any], given: Mapping[str, Any]) -> str | Awaitable[Any]:
    """The result as text, made here as a generator works while it is read; or what a lambda around `async` gave."""
    result = function(**given)
    return result if inspect.isawaitable(result) else render_result(result)


class _Documentation:
    """The parts of a docstring."""

    def __init__(self, function: Callable[..., Any]) -> None:
        # Without a name it is a `partial`, whose docstring is its class's.
        text = inspect.getdoc(function) if hasattr(function, "__name__") else None
        self.text: str | None = text
        self.parameters: dict[str, str] = {}
        try:
            parsed = parse(text or "")
        except ParseError:
            return
        self.text = (parsed.description or "").strip() or None
        self.parameters = {
            item.arg_name: item.description for item in parsed.params if item.description
        }


def _describe_signature(
    name: str, function: Callable[..., Any], documentation: _Documentation
) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """The check and the schema of a function's parameters, as those of a TypedDict: it takes any names."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except (NameError, TypeError, ValueError, SyntaxError) as error:
        raise TypeError(f"tool {name}: its signature can't be read: {error}") from None
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        fields[parameter.name] = _describe_parameter(
            name, parameter, documentation.parameters.get(parameter.name)
        )
    make: Any = TypedDict  # its keys are known at run time alone
    arguments = make(name, fields)
    arguments.__pydantic_config__ = ConfigDict(extra="forbid")
    adapter, schema = adapt(arguments, f"tool {name}: its parameters")
    schema.pop("title", None)
    for parameter in signature.parameters.values():
        described = schema["properties"][parameter.name]
        described.pop("title", None)
        if parameter.default is not inspect.Parameter.empty:
            _describe_default(described, parameter.default)
    return adapter, schema


def _describe_parameter(name: str, parameter: inspect.Parameter, description: str | None) -> Any:
    require(
        parameter.kind in _NAMED,
        f"tool {name}: the model gives arguments by name, which {parameter} can't take; write the parameters out, "
        "or give parameters= as a JSON schema",
        TypeError,
    )
    require(
        parameter.annotation is not inspect.Parameter.empty,
        f"tool {name}: parameter {parameter.name!r} has no type, so the model can't be told what it is: "
        f"write {parameter.name}: str (or another type)",
        TypeError,
    )
    require(
        not isinstance(parameter.default, FieldInfo),
        f"tool {name}: parameter {parameter.name!r} has a Field as its default, which Python would hand to the "
        f"function: write {parameter.name}: Annotated[…, Field(…)] = default",
        TypeError,
    )
    annotation = parameter.annotation
    adapt(annotation, f"tool {name}: parameter {parameter.name!r}")
    if description is not None and not _is_described(annotation):
        annotation = Annotated[annotation, Field(description=description)]
    required = parameter.default is inspect.Parameter.empty
    return Required[annotation] if required else NotRequired[annotation]


def _is_described(annotation: Any) -> bool:
    return any(
        getattr(note, "description", None) for note in getattr(annotation, "__metadata__", ())
    )


def _describe_default(described: dict[str, Any], default: Any) -> None:
    """The function fills in its default itself; the model is told, if it can be."""
    try:
        described["default"] = json.loads(to_json(default))
    except (PydanticSerializationError, ValueError):
        return


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    require(
        parameters.get("type", "object") == "object",
        f"tool {name}: parameters must be a JSON schema of an object",
        TypeError,
    )
    try:
        json.dumps(parameters, allow_nan=False)
        check({}, parameters)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(
            f"tool {name}: parameters is no JSON schema that can be sent: {error}"
        ) from None
    compile_patterns(parameters)
    return {"type": "object", "properties": {}, **parameters}


def _strict(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return strict_schema(schema)
    except NotStrictError as error:
        raise ValueError(f"tool {name} can't be strict: {error}") from None
