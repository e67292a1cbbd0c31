"""What a folder holds, in a form in which two runs of the same command agree."""

import hashlib
import json
import os
import re
import struct
from pathlib import Path

TEMPORARY = re.compile(r"\.rcnn-tmp-\d+-\d+")


def safetensors_digest(data):
    """The digest of a model's file without the time that its training took. Throws if the file is not whole."""
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    metadata.pop("train_seconds", None)
    end = max([entry["data_offsets"][1] for entry in header.values()], default=0)
    if end != len(data) - 8 - size:
        raise ValueError(f"the tensors end at {end}, the file has {len(data) - 8 - size} bytes of data")
    text = json.dumps([sorted(metadata.items()), sorted(header.items())]).encode()
    return hashlib.sha256(text + data[8 + size :]).hexdigest()


def digest(path):
    """The digest of a file. Times, process ids and command lines are left out of it."""
    data = path.read_bytes()
    try:
        if path.name == "run.lock":
            return "lock"
        if path.suffix == ".safetensors":
            return safetensors_digest(data)
        if path.name == "summary.json":
            summary = json.loads(data)
            for key in ("train_seconds", "images_per_second", "command_line", "weights_sha256"):
                summary.pop(key)
            return hashlib.sha256(json.dumps(summary).encode()).hexdigest()
        if path.name == "report.html":  # of a training: it has times in many places
            return "report" if data.rstrip().endswith(b"</html>") else "cut off"
    except (ValueError, KeyError, struct.error) as fault:
        return f"not whole: {fault}"
    return hashlib.sha256(data).hexdigest()


def state_of(folder):
    """{path: digest} of all files in the folder; temporary ones are counted under the key `temporaries`."""
    state = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if TEMPORARY.fullmatch(name):
                state.setdefault("temporaries", []).append(str(path))
            else:
                state[str(path.relative_to(folder))] = digest(path)
    return state


def differences(found, expected):
    """Sentences about the files in which two states differ."""
    lines = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    lines += [f"{name} is superfluous" for name in sorted(found.keys() - expected.keys())]
    both = sorted(found.keys() & expected.keys())
    return lines + [f"{name} differs" for name in both if found[name] != expected[name]]
