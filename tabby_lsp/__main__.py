"""`python -m tabby_lsp` is `tabby-lsp`."""

from tabby_lsp.cli import main

raise SystemExit(main())
