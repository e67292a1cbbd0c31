"""Prints compile_commands.json; run it in the root of the repository.

    tools/compile_commands.py 'COMPILER FLAGS' SOURCE...
"""

import json
import os
import sys

print(json.dumps([{"directory": os.getcwd(), "file": source, "command": f"{sys.argv[1]} -c {source}"}
                  for source in sys.argv[2:]], indent=1))
