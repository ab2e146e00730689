"""The console node with an address /block that keeps its page's event loop busy for two seconds, for test_page.py."""

import time

from nicegui import app

from rig_robot.nodes import console

BLOCKED = 2.0


@app.get("/block")
async def block() -> str:
    time.sleep(BLOCKED)
    return "the page was busy"


if __name__ == "__main__":
    console.main()
