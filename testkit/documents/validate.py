"""Validates what `airside` writes about servers and scans with the tools of those who own
the formats: CycloneDX 1.6 and 1.7 with the strict schemas of the CycloneDX Python library,
SPDX 2.3 with the SPDX tools.

usage: validate.py PROGRAM FOLDER
"""

import json
import pathlib
import subprocess
import sys
import time

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

PROGRAM = sys.argv[1]
FOLDER = pathlib.Path(sys.argv[2])
HIGH = {
    "CVE-2026-1": ["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P"],
    "CVE-2026-2": ["CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"],
    "CVE-2026-3": [],
    "CVE-2026-4": ["CVSS:3.0/AV:L/AC:H/PR:L/UI:R/S:U/C:L/I:N/A:N"],
}
# Names as somebody would write them who wants to break out of a document.
ODD = 'odd"><script>\u001b[31m</script>\u202e name'


def write(path, content):
    path = FOLDER / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def advisory(number, package, ecosystem, fixed):
    name = f"CVE-2026-{number}"
    events = [{"introduced": "0"}] + ([{"fixed": fixed}] if fixed else [])
    return {
        "id": f"GHSA-{number}",
        "aliases": [name],
        "modified": "2026-11-01T00:00:00Z",
        "published": "2026-11-01T00:00:00Z",
        "summary": "Runs commands\u0007 \u001b[2J of others",
        "severity": [{"type": "CVSS", "score": score} for score in HIGH[name]],
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package},
                "ranges": [{"type": "ECOSYSTEM" if ecosystem == "PyPI" else "SEMVER", "events": events}],
            }
        ],
    }


def feeds():
    records = [
        advisory(1, "left-pad", "npm", "1.3.1"),
        advisory(2, "left-pad", "npm", None),
        advisory(3, "@scope/part", "npm", "2.0.0"),
        advisory(4, "jinja2", "PyPI", "3.1.4"),
    ]
    write("feeds/osv.ndjson", "\n".join(json.dumps(record) for record in records))
    write(
        "feeds/vex.json",
        {
            "@context": "https://openvex.dev/ns/v0.2.0",
            "@id": "https://example.com/vex/1",
            "author": "Example",
            "timestamp": "2026-11-01T00:00:00Z",
            "version": 1,
            "statements": [
                {
                    "vulnerability": {"name": "CVE-2026-3"},
                    "products": [{"@id": "pkg:npm/%40scope/part"}],
                    "status": "not_affected",
                    "justification": "vulnerable_code_not_present",
                }
            ],
        },
    )


def deploy(version, binary="binary"):
    lock = {
        "name": "app",
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "app", "dependencies": {"left-pad": "^1.0.0"}},
            "node_modules/left-pad": {"version": version},
            "node_modules/@scope/part": {"version": "1.0.0", "dev": True},
            "node_modules/alias": {"name": "left-pad", "version": "1.0.0+build.1 odd"},
            "node_modules/" + ODD: {"version": "1.0.0"},
        },
    }
    write("shop/package-lock.json", lock)
    write("shop/requirements.txt", "Jinja2==3.1.3\nunpinned>=1\ngit+https://example.com/x.git#egg=x\n")
    if binary:
        write("shop/bun.lockb", binary)


def tried(*command):
    return subprocess.run(
        [PROGRAM, *command], cwd=FOLDER, capture_output=True, text=True, timeout=120
    )


def run(*command):
    ran = tried(*command)
    if ran.returncode != 0:
        sys.exit(f"{command}: {ran.stderr}")
    return ran.stdout


def spdx_problems(text):
    document = JsonLikeDictParser().parse(json.loads(text))
    return [found.validation_message for found in validate_full_spdx_document(document)]


def cyclonedx_problems(text, version):
    found = JsonStrictValidator(version).validate_str(text)
    return [] if found is None else [str(found)]


def check(what, *command):
    """Writes every document with `command` and judges it. Returns whether all are right."""
    right = True
    for kind, judge in [
        ("cyclonedx", lambda text: cyclonedx_problems(text, SchemaVersion.V1_6)),
        ("cyclonedx-1.7", lambda text: cyclonedx_problems(text, SchemaVersion.V1_7)),
        ("spdx", spdx_problems),
    ]:
        problems = judge(run(*command, "--format", kind))
        for problem in problems:
            print(f"  {problem[:600]}")
        print(f"{'FAILED' if problems else 'ok'} {kind} of {what}")
        right = right and not problems
    return right


def until(wanted, node):
    """Asks until the findings are as wanted: a round comes every second."""
    end = time.monotonic() + 240
    while time.monotonic() < end and node.poll() is None:
        listed = tried("vulns", "list", "--server", "shop", "--all", "--json", "--data-dir", "data")
        # Before the node has started there is nothing to read.
        found = json.loads(listed.stdout)["findings"] if listed.returncode == 0 else []
        if wanted(found):
            return found
    sys.exit("the findings never came")


def server():
    """The documents of a deployed server: open, mitigated, taken on, and fixed."""
    write(
        "airside.toml",
        """
data-dir = "data"
[listen]
address = "127.0.0.1:0"
[identity]
anonymous-loopback = true
[[upstream]]
name = "shop"
builtin = "flights"
[[endpoint]]
path = "/mcp"
upstreams = ["shop"]
[inventory]
feeds = "feeds"
every-s = 1
trust-vex = ["Example"]
[[inventory.server]]
upstream = "shop"
version = "2.3"
sources = ["shop"]
""",
    )
    command = [PROGRAM, "serve", "--config", "airside.toml"]
    with open(FOLDER / "log", "w") as log:
        node = subprocess.Popen(command, cwd=FOLDER, stdout=log, stderr=log)
    try:
        found = until(lambda found: len(found) == 3, node)
        first, second = [one["judged"]["id"] for one in found][:2]
        reason = ["--reason", 'until "2.4" is out', "--data-dir", "data"]
        run("vulns", "mitigate", first, "--with", "quarantine-server", *reason)
        run("vulns", "except", second, "--until", "2099-01-01", *reason)
        right = check("a vulnerable server", "inventory", "shop", "--data-dir", "data")
        # A file that cannot be read hides what it names: nothing closes while it is there.
        (FOLDER / "shop/bun.lockb").unlink()
        deploy("1.3.1", "")
        write("shop/requirements.txt", "Jinja2==3.1.4\n")
        until(lambda found: any(one.get("closed") for one in found), node)
        return check("a server with fixes", "inventory", "shop", "--data-dir", "data") and right
    finally:
        node.terminate()
        node.wait(timeout=60)


feeds()
deploy("1.0.0")
scan = ["scan", "shop", "--feeds", "feeds", "--index", "index"]
everything = check("a scan", *scan, "--trust-vex", "Example")
write("empty/package-lock.json", {"packages": {"": {"name": "app"}}})
everything &= check("a scan without components", "scan", "empty", "--feeds", "feeds", "--index", "index")
everything &= server()
sys.exit(0 if everything else 1)
