#!/usr/bin/env python3
"""Writes what a build of samocode consists of, from Cargo.lock.

  ./sbom.py bom               a CycloneDX bill of materials, JSON
  ./sbom.py section           the list that cargo audit, syft and trivy read in a program, for its
                              section .dep-v0 (the format of cargo-auditable)
  --target TRIPLE             for this target instead of this machine's

The same sources give the same bytes. Crates that only tests need are left out.
"""
import argparse
import json
import os
import subprocess
import sys
import urllib.parse
import uuid
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def cargo(*words):
    command = [os.environ.get("CARGO", "cargo"), *words]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"sbom.py: {' '.join(command)} failed")
    return done.stdout


def host():
    version = subprocess.run(["rustc", "-vV"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return next(line[6:] for line in version.splitlines() if line.startswith("host: "))


def packages(target):
    """What is built: each package with whether it is part of the program, and what it needs."""
    words = ["metadata", "--format-version=1", "--locked", "--filter-platform", target]
    known = json.loads(cargo(*words))
    by_id = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node["deps"] for node in known["resolve"]["nodes"]}
    root = known["resolve"]["root"]
    needs, runs = {}, {}
    # What a build script or a macro needs is built, but not part of the program.
    left = [(root, True)]
    while left:
        name, in_program = left.pop()
        if runs.get(name) is True or (name in runs and not in_program):
            continue
        runs[name] = in_program
        needs[name] = set()
        for dependency in nodes[name]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]} - {"dev"}
            if not kinds:
                continue
            other = dependency["pkg"]
            needs[name].add(other)
            is_macro = any("proc-macro" in target["kind"] for target in by_id[other]["targets"])
            left.append((other, in_program and None in kinds and not is_macro))
    order = sorted(runs, key=lambda name: (by_id[name]["name"], by_id[name]["version"], name))
    return root, [(by_id[name], runs[name], needs[name]) for name in order]


def checksums():
    """The SHA-256 of each crate, from Cargo.lock."""
    found, name, version = {}, None, None
    with open(os.path.join(HERE, "Cargo.lock"), encoding="utf-8") as lock:
        for line in lock:
            key, _, value = line.strip().partition(" = ")
            value = value.strip('"')
            if key == "name":
                name = value
            elif key == "version":
                version = value
            elif key == "checksum":
                found[name, version] = value
    return found


def section(root, built):
    at = {package["id"]: number for number, (package, _, _) in enumerate(built)}
    listed = []
    for package, runs, needs in built:
        source = package["source"]
        entry = {
            "name": package["name"],
            "version": package["version"],
            "source": "local" if source is None else
                      "crates.io" if source == CRATES_IO else source.split("+")[0],
        }
        if not runs:
            entry["kind"] = "build"
        if needs:
            entry["dependencies"] = sorted(at[other] for other in needs)
        if package["id"] == root:
            entry["root"] = True
        listed.append(entry)
    text = json.dumps({"packages": listed}, separators=(",", ":"))
    return zlib.compress(text.encode(), 9)


def purl(package):
    return f"pkg:cargo/{package['name']}@{urllib.parse.quote(package['version'])}"


def component(package, runs, sums):
    entry = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "scope": "required" if runs else "excluded",
        "purl": purl(package),
    }
    checksum = sums.get((package["name"], package["version"]))
    if checksum:
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        # Some still write "/" for OR.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bom(root, built, target):
    sums = checksums()
    by_id = {package["id"]: package for package, _, _ in built}
    whole = component(by_id[root], True, sums)
    whole["type"] = "application"
    del whole["scope"]
    text = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": whole,
            "properties": [{"name": "cargo:target", "value": target}],
        },
        "components": [
            component(package, runs, sums)
            for package, runs, _ in built
            if package["id"] != root
        ],
        "dependencies": [
            {"ref": purl(package), "dependsOn": sorted(purl(by_id[other]) for other in needs)}
            for package, _, needs in built
        ],
    }
    # A number that the contents determine.
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(text, sort_keys=True))
    text["serialNumber"] = f"urn:uuid:{number}"
    return (json.dumps(text, indent=1, sort_keys=True) + "\n").encode()


def main():
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("what", choices=["bom", "section"])
    arguments.add_argument("--target")
    given = arguments.parse_args()
    target = given.target or host()
    root, built = packages(target)
    text = bom(root, built, target) if given.what == "bom" else section(root, built)
    sys.stdout.buffer.write(text)


if __name__ == "__main__":
    main()
