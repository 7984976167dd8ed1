"""How fast each on-ramp is: `python tests/bench/onramps.py [PART …]`, all of them without a name.

Each part is a program of its own beside this one, with a stack of its own: what one leaves behind slows no other.
"""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PARTS: Mapping[str, str] = {
    "sync": "a table of a million rows: loaded, and compared as a whole",
    "relay": "an outbox drained, and the time from commit to acknowledgement",
    "files": "a million rows of CSV",
    "gateway": "changes over HTTP in batches of a hundred",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], metavar="PART", help=", ".join(PARTS))
    ended = []
    for part in parser.parse_args().parts or PARTS:
        print(f"{part}: {PARTS[part]}", flush=True)
        program = Path(__file__).with_name(f"onramp_{part}.py")
        ended.append(subprocess.run([sys.executable, str(program)], check=False).returncode)
    sys.exit(max(ended))


if __name__ == "__main__":
    main()
