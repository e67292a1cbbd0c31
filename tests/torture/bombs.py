"""Files of few bytes that ask for much memory or time. Every command must refuse or read each of them within 5 seconds
of the processor and 500 MB."""

import binascii
import json
import os
import resource
import shutil
import struct
import zipfile
import zlib

from tests.torture.commands import TRAINING

MAX_SECONDS, MAX_MB = 5.0, 500


# ---- images


def png(width, height, depth, colour, compress=True):
    """Black pixels. The compressed data are made row by row, so that they take no memory here."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", binascii.crc32(kind + content))

    channels = {0: 1, 2: 3, 6: 4}[colour]
    row = bytes(1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def progressive_jpeg(side, scans):
    """A grey JPEG whose scans after the first say in a few bytes that no block of a coefficient changes."""

    def segment(marker, content):
        return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(content)) + content

    def table(kind, symbol):  # of one code, a 0
        return segment(0xC4, bytes([kind << 4, 1, *[0] * 15, symbol]))

    def scan(first, last, high, low, bits):
        bits += "1" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
        return segment(0xDA, bytes([1, 1, 0, first, last, high << 4 | low])) + data

    blocks = ((side + 7) // 8) ** 2
    jpeg = b"\xff\xd8" + segment(0xDB, bytes([0, *[1] * 64]))
    jpeg += segment(0xC2, struct.pack(">BHHB", 8, side, side, 1) + bytes([1, 0x11, 0]))
    jpeg += table(0, 0) + table(1, 0xE0)  # a difference of 0; an end of 2^14 or more blocks
    jpeg += scan(0, 0, 0, 0, "0" * blocks)
    nothing = scan(1, 63, 0, 0, ("0" + "1" * 14) * -(-blocks // 32767))
    return jpeg + nothing * (scans - 1) + b"\xff\xd9"


def tiff(width, height):
    """One strip of zlib for all rows, without their data."""
    strip = zlib.compress(bytes(1 << 20), 9)
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1),
               (278, 4, height), (279, 4, len(strip))]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(strip)) + strip + directory


def webp(width, height):
    data = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(64)
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


# ---- weights


def changed_model(data, changes):
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"].update(changes)
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def many_tensors(count):
    text = ",".join(f'"t{i}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}' for i in range(count)).encode()
    return struct.pack("<Q", len(text) + 2) + b"{" + text + b"}"


def write_zip(path, records, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in records:
            archive.writestr(name, content)


# ---- annotations


def coco(categories):
    return json.dumps({"images": [{"id": 1, "file_name": "train_00000.png", "width": 64, "height": 64}],
                       "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
                       "categories": [{"id": i + 1, "name": name} for i, name in enumerate(categories)]})


def voc(name):
    return (f"<annotation><filename>train_00000.png</filename><size><width>64</width><height>64</height></size><object>"
            f"<name>{name}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
            "</annotation>")


def csv(classes):
    lines = (f"train_00000.png,64,64,class {i},1,1,9,9" for i in range(classes))
    return "filename,width,height,class,xmin,ymin,xmax,ymax\n" + "\n".join(lines)


def labelme(name):
    shape = {"label": name, "points": [[1, 1], [9, 9]], "shape_type": "rectangle", "group_id": None, "flags": {}}
    return json.dumps({"version": "5.0", "flags": {}, "shapes": [shape], "imagePath": "train_00000.png",
                       "imageData": None, "imageHeight": 64, "imageWidth": 64})


def yaml_aliases():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    return "\n".join(lines) + "\nnames: *a11\ntrain: images\n"


ENTITIES = "<!DOCTYPE a [<!ENTITY e0 'xxxxxxxxxx'>" + "".join(
    f"<!ENTITY e{i} '{f'&e{i - 1};' * 10}'>" for i in range(1, 12)) + "]>"


# ---- the attack


class Bombs:
    def __init__(self, attack, show):
        self.attack = attack
        self.folder = attack.root / "bombs"
        self.show, self.rows = show, []

    def path(self, name, content=None):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def data(self, name, annotations):
        """A data folder with one scene and the annotations {path: content}."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        shutil.copy(self.attack.inputs / "data/JPEGImages/train_00000.png", folder)
        for path, content in annotations.items():
            self.path(f"{name}/{path}", content)
        return folder

    def run(self, name, words, statuses=(2,), says=""):
        """`says` is in what the command prints; a status other than 0 comes with a sentence."""

        def action():
            from tests.torture.trials import require

            shutil.rmtree(self.attack.out, ignore_errors=True)
            # A limit of addresses, so that a bomb that goes off does not take the machine with it.
            process = self.attack.start([str(word) for word in words], limit=(resource.RLIMIT_AS, 6 << 30))
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds, mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
            self.rows.append((name, words[0], seconds, mb))
            if self.show:
                print(f"{seconds:6.2f} s {mb:6.0f} MB  status {process.returncode}  {name}: {words[0]}", flush=True)
            run = self.attack.finish(process)
            require(run.status in statuses, f"exit status {run.status}: {run.end}")
            self.attack.check_status(run)
            require(says in run.out + run.err, f"expected {says!r} in {(run.out + run.err)[-500:]!r}")
            require(len(run.out + run.err) < 20_000, f"it prints {len(run.out + run.err)} bytes")
            require(seconds <= MAX_SECONDS, f"it took {seconds:.1f} seconds of the processor")
            require(mb <= MAX_MB, f"it took {mb:.0f} MB")

        self.attack.count("bomb", f"{name}: {words[0]}", action, "--bombs")

    def images(self):
        detect = ["detect", "--weights", "{in}/a.safetensors", "--out", "{out}", "--device", "cpu"]
        for name, content, statuses in [
            ("png of 198 megapixels", png(14080, 14080, 8, 0), (2,)),
            ("png of 25 megapixels, 16 bits", png(5000, 5000, 16, 6), (0, 2)),
            ("jpeg of 5000 scans of 16 megapixels", progressive_jpeg(4000, 5000), (2,)),
            ("jpeg of 490 scans of 4 megapixels", progressive_jpeg(2000, 490), (0, 2)),
            ("jpeg of 20 scans of 25 megapixels", progressive_jpeg(5000, 20), (0, 2)),
            ("jpeg of 200000 scans of 64 pixels", progressive_jpeg(8, 200_000), (0, 2)),
            ("tiff of 32768 x 6000", tiff(32768, 6000), (2,)),
            ("tiff of 2^31 x 2^31", tiff(1 << 31, 1 << 31), (2,)),
            ("webp of 16384 x 16384", webp(16384, 16384), (2,)),
        ]:
            path = self.path(f"images/{name}.png", content)
            self.run(f"{name}, {len(content) / 1e6:.1f} MB", [*detect, path], statuses)
            data = self.data(f"with {name}", {"train_00000.xml": voc("cat"), "train.txt": "train_00000\nother\n",
                                             "other.xml": voc("cat").replace("train_00000", "other")})
            shutil.copy(path, data / "other.png")
            self.run(name, ["train", "--data", data, "--out", "{out}", "--steps", "1", *TRAINING], (0,), "in the data")

    def models(self):
        model = (self.attack.inputs / "a.safetensors").read_bytes()
        data = "{in}/data"
        million = json.dumps([f"c{i}" for i in range(10**6)])
        larger = "larger than everything in the file"
        for name, content, says in [
            ("model that asks for 17 GB", changed_model(model, {"model.box-head-size": "65536"}), larger),
            ("model of a million classes", changed_model(model, {"classes": million}), ""),
            ("model with a class name of 100 KB", changed_model(model, {"classes": json.dumps(["x" * 100_000])}), ""),
            ("model with nested class names", changed_model(model, {"classes": "[" * 1_000_000}), "'classes'"),
            ("model of 200000 empty tensors", many_tensors(200_000), ""),
        ]:
            path = self.path(f"models/{name}.safetensors", content)
            for words in (["detect", "--weights", path, "--out", "{out}", f"{data}/JPEGImages"],
                          ["eval", "--weights", path, "--data", data],
                          ["export", "--weights", path, "--out", self.folder / "exported.safetensors"],
                          ["train", "--weights", path, "--data", data, "--out", "{out}", "--steps", "1"]):
                self.run(name, words, says=says if words[0] != "train" or "17 GB" in name else "")
        asking = changed_model(model, {"model.box-head-size": "65536"})
        run = self.path("run/last.safetensors", asking).parent
        again = ["train", "--resume", "--data", data, "--out", run, "--steps", "1", *TRAINING]
        self.run("model that asks for 17 GB, resumed", again)
        again += ["--weights", "{in}/a.safetensors"]
        self.run("model that asks for 17 GB, resumed from weights", again, says=larger)

        def pickled(code):
            return [("a/data.pkl", b"\x80\x02" + code + b".")]

        for name, records in [
            ("zip bomb", [("a/data.pkl", bytes(1 << 28))]),
            ("pickle of 1000000 nested lists", pickled(b"]" * 10**6 + b"a" * (10**6 - 1))),
            ("pickle of a text of 2^62 bytes", pickled(b"\x8d" + struct.pack("<Q", 1 << 62))),
            ("pickle that doubles", pickled(b"(]" + b"2" * 10**6 + b"t")),
            ("zip of 200000 records", [(f"a/{i}", b"") for i in range(200_000)]),
        ]:
            path = self.path(f"models/{name}.pth")
            write_zip(path, records, zipfile.ZIP_DEFLATED if name == "zip bomb" else zipfile.ZIP_STORED)
            self.run(f"{name}, {path.stat().st_size / 1e6:.1f} MB", ["summary", path])
            self.run(name, ["train", "--weights", path, "--data", data, "--out", "{out}", "--steps", "1"])

    def annotations(self):
        names = [f"class {i}" for i in range(1_000_000)]
        deep = 2_000_000
        for name, files, statuses in [
            ("coco with a class name of 100 KB", {"instances.json": coco(["x" * 100_000])}, (2,)),
            ("voc with a class name of 100 KB", {"train_00000.xml": voc("x" * 100_000)}, (0, 2)),
            ("coco with a million categories", {"instances.json": coco(names)}, (2,)),
            ("nested json", {"instances.json": "[" * deep}, (2,)),
            ("nested json in an object", {"instances.json": '{"images":' + "[" * deep}, (2,)),
            ("nested json of labelme", {"train_00000.json": '{"shapes":' + "[" * deep + "]" * deep + "}"}, (0, 2)),
            ("nested xml", {"train_00000.xml": "<annotation>" + "<a>" * deep}, (0, 2)),
            ("xml entities", {"train_00000.xml": ENTITIES + voc("&e11;")}, (0, 2)),
            ("yaml aliases", {"data.yaml": yaml_aliases(), "labels/a.txt": ""}, (2,)),
            ("nested yaml", {"data.yaml": "train: images\nnames: " + "[" * deep}, (2,)),
            ("nested yaml maps", {"data.yaml": "train: images\nnames: " + "{a: " * (deep // 4)}, (2,)),
            ("csv with 200000 classes", {"labels.csv": csv(200_000)}, (0, 2)),
            ("labelme with a class name of 100 KB", {"train_00000.json": labelme("x" * 100_000)}, (0, 2)),
            ("yolo with a million class names",
             {"classes.txt": "\n".join(names), "train_00000.txt": "0 .5 .5 .1 .1"}, (2,)),
        ]:
            data = self.data(f"data of {name}", files)
            self.run(name, ["check", data], statuses)
            self.run(name, ["data", "convert", data, "--to", "coco", "--out", "{out}"], statuses)
        found = self.path("found.json", "[" * deep)
        self.run("nested json of detections", ["eval", "--detections", found, "--data", "{in}/data"])
        config = self.path("deep.toml", "lr = " + "[" * deep)
        self.run("nested toml", ["train", "--config", config, "--data", "{in}/data", "--out", "{out}"])

    def report(self):
        worst_time, worst_memory = (max(self.rows, key=lambda row: row[i]) for i in (2, 3))
        print(f"bombs: {len(self.rows)} runs; at most {worst_time[2]:.2f} s ({worst_time[0]}: {worst_time[1]}), "
              f"{worst_memory[3]:.0f} MB ({worst_memory[0]}: {worst_memory[1]})", flush=True)


def run_all(attack, show=False):
    bombs = Bombs(attack, show)
    bombs.images()
    bombs.models()
    bombs.annotations()
    bombs.report()
