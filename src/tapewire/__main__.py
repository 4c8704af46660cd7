"""``python -m tapewire`` is the command ``tapewire``."""

from tapewire.cli.main import main

if __name__ == "__main__":
    main()
