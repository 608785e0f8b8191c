# common.py - what the scripts of this folder share: their failures, the program trit, JSON files, gnuplot.
#
# SPDX-License-Identifier: MIT
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.path.join(ROOT, "build", "release", "trit")


class Failure(Exception):
    """Something the user can act on; the text says what."""


def program(named):
    """Path of trit: the one that was named, or the release build."""
    if not named and not os.access(RELEASE, os.X_OK):
        raise Failure("there is no build/release/trit; run make, or name a program with --trit")
    return named or RELEASE


def run(*command):
    """What a program prints. Failure holds the last line of what it says otherwise."""
    command = [str(word) for word in command]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                              check=False)
    except OSError as e:
        raise Failure(f"{command[0]}: {e.strerror}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise Failure(f"{' '.join(command)}: {said[-1]}")
    return done.stdout


def run_json(*command):
    """What a program prints as JSON."""
    try:
        return json.loads(run(*command))
    except ValueError:
        raise Failure(f"{' '.join(str(word) for word in command)}: prints no JSON") from None


def read_json(path):
    """What a file holds; None: there is none."""
    if not os.path.isfile(path):
        return None
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except ValueError as e:
        raise Failure(f"{path}: {e}") from None


def write_json(path, value):
    """Whole or not at all."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise Failure(f"{path} is no file")
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
    os.replace(path + ".part", path)


def need_gnuplot():
    if not shutil.which("gnuplot"):
        raise Failure("gnuplot is missing: apt-get install gnuplot-nox")


def quoted(text):
    """A text as gnuplot takes it."""
    return "'" + text.replace("'", "''") + "'"


def gnuplot(script):
    try:
        subprocess.run(["gnuplot"], input=script, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as e:
        raise Failure(f"gnuplot: {e}") from None


def end(name, main):
    """Ends the process with main's status, or with what it failed of."""
    try:
        status = main()
        sys.stdout.flush()
        sys.exit(status)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what is left to be written
        sys.exit(1 if isinstance(e, BrokenPipeError)
                 else f"{name}: {f'{e.filename}: ' if e.filename else ''}{e.strerror}")
    except Failure as e:
        sys.exit(f"{name}: {e}")
