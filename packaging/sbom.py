#!/usr/bin/env python3
"""Writes what the program is made of as CycloneDX 1.5 JSON: the Debian packages of the libraries that it is linked to, direct ones and theirs,
the texts of others that are compiled into it, and the models that come with it. The same inputs give the same bytes."""
import argparse
import hashlib
import json
import os
import pathlib
import subprocess
import sys


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(programs):
    """Paths of the shared libraries that the programs load."""
    found = set()
    for program in programs:
        for line in output("ldd", program).splitlines():
            word = line.split()
            path = word[2] if "=>" in word else word[0]
            if path.startswith("/"):
                found.add(os.path.realpath(path))
    return sorted(found)


def packages_of(paths):
    """Names of the packages that own the files; Debian lists some under /lib, which is a link to /usr/lib."""
    names = [name for path in paths for name in (path, path.removeprefix("/usr"))]
    owners = {}
    for line in subprocess.run(["dpkg-query", "-S", *names], capture_output=True, text=True).stdout.splitlines():
        package, name = line.split(": ", 1)
        owners[name] = package.split(":")[0]
    for path in paths:
        if path not in owners and path.removeprefix("/usr") not in owners:
            sys.exit(f"sbom: no Debian package owns {path}")
    return sorted(set(owners.values()))


def debian_component(package):
    fields = "${Version}\t${Architecture}\t${source:Package}\t${Homepage}"
    version, architecture, source, home = output("dpkg-query", "-W", "-f", fields + "\n", package).splitlines()[0].split("\t")
    component = {"type": "library", "bom-ref": f"pkg:deb/debian/{package}@{version}?arch={architecture}", "name": package, "version": version,
                 "purl": f"pkg:deb/debian/{package}@{version}?arch={architecture}",
                 "properties": [{"name": "debian:source", "value": source}]}
    if home:
        component["externalReferences"] = [{"type": "website", "url": home}]
    return component


def vendored_components(folder):
    """Debian packages whose files were copied into the sources: a line "package version" each in VERSIONS, licence in PACKAGE.copyright."""
    for line in (folder / "VERSIONS").read_text().splitlines():
        package, version = line.split()
        licences = {text.split(":", 1)[1].strip() for text in (folder / f"{package}.copyright").read_text().splitlines()
                    if text.startswith("License:")}
        yield {"type": "library", "bom-ref": f"vendored:{package}@{version}", "name": package, "version": version, "scope": "required",
               "purl": f"pkg:deb/debian/{package}@{version}?arch=source",
               "licenses": [{"license": {"name": name}} for name in sorted(licences)],
               "properties": [{"name": "fathom:vendored-in", "value": str(folder)}]}


def model_component(folder, version):
    weights = folder / "model.safetensors"
    return {"type": "machine-learning-model", "bom-ref": f"model:{folder.name}", "name": folder.name, "version": version,
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(weights.read_bytes()).hexdigest()}]}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True)
    parser.add_argument("--program", action="append", required=True)
    parser.add_argument("--vendored", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--model", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    a = parser.parse_args()

    components = [debian_component(package) for package in packages_of(libraries(a.program))]
    for folder in a.vendored:
        components += vendored_components(folder)
    components += [model_component(folder, a.version) for folder in a.model]
    this = {"type": "application", "bom-ref": "fathom", "name": "fathom", "version": a.version, "licenses": [{"license": {"id": "MIT"}}]}
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": this}, "components": components,
           "dependencies": [{"ref": "fathom", "dependsOn": [c["bom-ref"] for c in components]}]}
    new = a.out.with_suffix(".new")
    new.write_text(json.dumps(bom, indent=1, ensure_ascii=False) + "\n")
    new.replace(a.out)


main()
