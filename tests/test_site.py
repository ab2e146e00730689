"""The documentation builds as a site, without a network, and no link in it leads nowhere."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_site_builds_and_every_link_of_it_leads_somewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    pages = {page.name for page in tmp_path.glob("*.html")}
    assert pages >= {"index.html", "deploy.html", "parameters.html", "troubleshooting.html", "CHANGELOG.html"}
    fetched = {
        address
        for page in tmp_path.glob("*.html")
        for address in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?://[^\"]+)\"", page.read_text())
    }
    assert not fetched, "pages load nothing from elsewhere"
