"""``python3 /where/injob run -- ...``, also with ``-I -S``; ``python3 -m injob`` where it can be imported."""

import importlib
import importlib.util
import sys
from pathlib import Path

if __package__:
    package = __package__
else:  # the folder itself was named: nothing of it may stand in the way of other modules
    here, package = Path(__file__).resolve().parent, "injob"
    sys.path.pop(0)
    spec = importlib.util.spec_from_file_location(package, here / "__init__.py", submodule_search_locations=[str(here)])
    if spec is None or spec.loader is None:
        raise ImportError(f"{here} is not whole")
    sys.modules[package] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[package])

importlib.import_module(f"{package}.command").main()
