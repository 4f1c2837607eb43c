"""Mistakes on the command line that Hydra meets before we do, in our words: the key as typed, what is allowed, the
remedy. `train`, `store` and `study` share this.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra import compose, initialize_config_module
from hydra.errors import HydraException, MissingConfigException, OverrideParseException, SearchPathException
from omegaconf import DictConfig

from hskd_lightning.choices import CONF, names
from hskd_lightning.errors import RENAMED, ConfigError, command, renamed
from hskd_lightning.usage import public_groups

FULL_ERROR = "HYDRA_FULL_ERROR"
"""Hydra's environment variable: at 1 it raises what it would print. A user who sets it sees the whole trace."""
SWEEPS = CONF.parent / "sweeps"
WORD = re.compile(r"(?!null$)[A-Za-z]\w{0,99}")
"""What an option can be called."""


@contextmanager
def explained(words: Sequence[str]) -> Iterator[None]:
    """Raise as a ConfigError what Hydra raises inside, unless the user asked for the whole trace.

    Args:
        words: the command line behind the program's name, or the overrides alone.

    Raises:
        ConfigError: a key, an option, a folder or a file that is not there, or an override that cannot be read.
    """
    whole_trace = os.environ.get(FULL_ERROR) == "1"
    try:
        yield
    except (HydraException, ValueError, TypeError, OSError) as error:
        if whole_trace or not _raised_in_hydra(error):
            raise
        raise _in_our_words(error, words) from error


@contextmanager
def raised_by_hydra() -> Iterator[None]:
    """Have `hydra.main` raise its errors inside, rather than print them and exit."""
    before = os.environ.get(FULL_ERROR)
    os.environ[FULL_ERROR] = "1"
    try:
        yield
    finally:
        os.environ.pop(FULL_ERROR)
        if before is not None:
            os.environ[FULL_ERROR] = before


def no_such_folder(folder: str) -> ConfigError:
    """For a --config-dir that is not there."""
    remedy = "leave it out for the sweeps of this package, which need none"
    return ConfigError("--config-dir", folder, "a folder with configurations", remedy)


def _raised_in_hydra(error: Exception) -> bool:
    """Whether this is Hydra's answer to the user: of Python's own errors, only where they come from tells."""
    modules = [str(frame.f_globals["__name__"]) for frame, _ in traceback.walk_tb(error.__traceback__)]
    *_, innermost = [module for module in modules if module.startswith(("hydra.", "hskd_lightning."))]
    if isinstance(error, HydraException):
        return True
    of_the_disk = isinstance(error, OSError) and error.errno != errno.ENAMETOOLONG  # no word is to blame
    return innermost.startswith("hydra.") and not of_the_disk


def _in_our_words(error: Exception, words: Sequence[str]) -> ConfigError:
    if isinstance(error, OverrideParseException):
        return _unreadable(error.override)
    if isinstance(error, MissingConfigException):
        return _no_such_file(str(error.missing_cfg_file), error.options)
    if isinstance(error, SearchPathException):
        return no_such_folder(_quoted(error))
    first = (str(error) or str(error.__cause__)).partition("\n")[0]
    if re.match("Could not (override|append to|delete from)", first):
        return _no_such_key(_quoted(error), words)
    if twice := re.match(r"(\S+) appears more than once", first):
        return _no_such_key(twice[1], words)
    if several := re.match(r"Multiple values for ([\w/@]+)", first):
        name = several[1]
        return ConfigError(name, " ".join(words), "one value", f"write {name}=VALUE once, without a + before it")
    if first.startswith("Ambiguous value"):
        key, _, value = _quoted(error).partition("=")
        return ConfigError(key, value, "one value for one run", f"add -m to run each, or write {key}=[{value}]: a list")
    if not isinstance(error, HydraException) and (no_option := _no_option(words)):
        return no_option
    remedy = f"{first}; {_see_help()}"
    return ConfigError("command line", " ".join(words), "GROUP=OPTION and KEY.SUBKEY=VALUE", remedy)


def _see_help() -> str:
    return f"{command('train')} --help lists groups and keys"


def _unreadable(word: str) -> ConfigError:
    key, equals, value = word.partition("=")
    if not equals:
        return ConfigError(key, "no value", "KEY=VALUE", f"write {key}=VALUE")
    remedy = "close what is open; quote what has spaces, commas or brackets, once more for the shell: 'key=\"a, b\"'"
    return ConfigError(key, value, "a value that ends as it begins: 1, word, [a,b], 'text'", remedy)


def _no_such_file(name: str, choices: Sequence[str] | None) -> ConfigError:
    group, _, option = name.rpartition("/")
    if choices is None and group in public_groups():  # of a list of options
        choices = names(group)
    if choices is not None:
        close = [f"{group}={each}" for each in _close(option, choices)]
        return ConfigError(group, option, ", ".join(choices), f"{_did_you_mean(close)}{_see_help()}")
    known = [path.stem for folder in (CONF, SWEEPS) for path in sorted(folder.glob("*.yaml"))]
    otherwise = "a file of your own needs its folder: --config-dir FOLDER"
    return ConfigError("--config-name", name, ", ".join(known), f"{_did_you_mean(_close(option, known))}{otherwise}")


def _no_option(words: Sequence[str]) -> ConfigError | None:
    """For what Hydra cannot even look for: depth=null, width=[1,2], a name too long for a file."""
    typed = [word.lstrip("+~").partition("=") for word in words]
    asked = [(group, value) for group, _, value in typed if group in public_groups() and value not in names(group)]
    if not asked:
        return None
    group, value = min(asked, key=lambda each: WORD.fullmatch(each[1]) is not None)  # not an option of a user's own
    return ConfigError(group, value, ", ".join(names(group)), f"leave {group} out for what it is by default")


def _no_such_key(key: str, words: Sequence[str]) -> ConfigError:
    typed = next((word for word in words if word.partition("=")[0].lstrip("+~") == key), key)
    written, _, value = typed.partition("=")
    if key in RENAMED:
        return renamed(key, value)
    known = _known([word for word in words if word != typed])
    if key in known and written != key:
        return ConfigError(written, value, "a key that there is, without + or ~", f"write {key}={value or 'VALUE'}")
    inside = next(each for each in _prefixes(key) if not each or any(name.startswith(f"{each}.") for name in known))
    allowed = f"a key of {inside or 'the configuration'}: {', '.join(_inside(inside, known))}"
    close = _close(key, [name for name in known if not key.startswith(name)])
    return ConfigError(written, value or "no value", allowed, f"{_did_you_mean(close)}{_see_help()}")


def _did_you_mean(close: Sequence[str]) -> str:
    return f"did you mean {' or '.join(close)}? " if close else ""


def _close(typed: str, known: Sequence[str]) -> list[str]:
    """The nearest in spelling; else some whose last part is what was typed."""
    same_end = [name for name in known if name.rpartition(".")[2] == typed.rpartition(".")[2]]
    return difflib.get_close_matches(typed, known, n=1, cutoff=0.75) or same_end[:3]


def _prefixes(key: str) -> Iterator[str]:
    """a.b: a.b, a, and the root, which has no name."""
    while key:
        yield key
        key = key.rpartition(".")[0]
    yield key


def _inside(node: str, known: Sequence[str]) -> list[str]:
    """The keys right below a node; of the root, also the groups."""
    if not node:
        return [name for name in known if "." not in name and name != "hydra"]
    below = (name.removeprefix(f"{node}.") for name in known if name.startswith(f"{node}."))
    return [name for name in below if "." not in name]


def _known(words: Sequence[str]) -> list[str]:
    """The keys that one can set beside these words, and the groups."""
    changes = [word for word in words if "=" in word and word[0] not in "-+~"]
    try:
        config = _composed(changes)
    except (HydraException, ValueError):  # another of the words is wrong, or has several values
        config = _composed([])
    return list(dict.fromkeys([*_names(config), *public_groups()]))


def _composed(overrides: Sequence[str]) -> DictConfig:
    with initialize_config_module("hskd_lightning.conf", version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=True)


def _names(node: DictConfig, prefix: str = "") -> Iterator[str]:
    for key in map(str, node):
        if key == "_target_":
            continue
        yield f"{prefix}{key}"
        within = node._get_node(key)
        if isinstance(within, DictConfig) and not within._is_none() and not within._is_interpolation():
            yield from _names(within, f"{prefix}{key}.")


def _quoted(error: Exception) -> str:
    (text,) = re.findall(r"'(.*?)'", str(error).replace("\\'", ""))[:1]
    return str(text)
