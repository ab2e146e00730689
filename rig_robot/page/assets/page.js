// What NiceGUI does not do: the stop button and the space bar, the operator's pulse, jogging, pictures, dropped files.
// It talks to the front server (rig_robot/page/front.py) directly, so that it works while the page itself is busy.
"use strict";
(() => {
  const { names, largest } = window.rigConfig;
  const IN_USE = 4001;
  const KEYS = {
    KeyW: [1, 0, 0], ArrowUp: [1, 0, 0], KeyS: [-1, 0, 0], ArrowDown: [-1, 0, 0],
    KeyA: [0, 1, 0], ArrowLeft: [0, 1, 0], KeyD: [0, -1, 0], ArrowRight: [0, -1, 0],
    KeyR: [0, 0, 1], PageUp: [0, 0, 1], KeyF: [0, 0, -1], PageDown: [0, 0, -1],
  };
  const rig = (window.rig = { page: "", jogs: false, drawn: {}, stops: 0 });
  const socketAt = (path) => new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`);

  // This page's name. A page that is loaded again keeps it, and with it the control.
  const newName = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, "0")).join("");
  const again = performance.getEntriesByType("navigation")[0]?.type === "reload";
  rig.page = (again && sessionStorage.getItem("rigPage")) || newName();
  sessionStorage.setItem("rigPage", rig.page);

  // The connection that stops, pulses and jogs.
  let control = null;
  let refusals = 0;
  let heard = performance.now();
  const send = (message) => {
    if (control?.readyState !== WebSocket.OPEN) return false;
    control.send(JSON.stringify(message));
    return true;
  };
  function connect() {
    control = socketAt(`/control?page=${rig.page}`);
    control.onmessage = (event) => {
      heard = performance.now();
      if (JSON.parse(event.data).stopped) stopArrived();
    };
    control.onclose = (event) => {
      if (event.code === IN_USE && ++refusals > 15) {
        sessionStorage.setItem("rigPage", newName()); // the name belongs to another tab: this one was copied from it
        location.reload();
        return;
      }
      setTimeout(connect, event.code === IN_USE ? 200 : 500);
    };
  }
  connect();
  setInterval(() => {
    send({ pulse: document.visibilityState === "visible" });
    readPad();
    if (!rig.jogs) releaseAll();
    if (held.size) jog();
    document.body?.classList.toggle("rig-cut", performance.now() - heard > 1500);
  }, 100);
  addEventListener("pagehide", () => control?.close());

  // The stop: by two ways at once.
  function stopArrived() {
    rig.stops += 1;
    document.body.classList.add("rig-stop-sent");
    document.body.classList.remove("rig-stop-failed");
    setTimeout(() => document.body.classList.remove("rig-stop-sent"), 1500);
  }
  function stop() {
    held.clear();
    padReady = false;
    const sent = send({ stop: true });
    fetch(`/stop?page=${rig.page}`, { method: "POST", keepalive: true, priority: "high" })
      .then((answer) => (answer.ok ? stopArrived() : Promise.reject()))
      .catch(() => sent || document.body.classList.add("rig-stop-failed"));
  }
  rig.stop = stop;
  addEventListener("pointerdown", (event) => event.target.closest?.(".rig-stop") && stop(), true);
  addEventListener("click", (event) => event.target.closest?.(".rig-stop") && event.detail === 0 && stop(), true);

  // Keys. The space bar stops whatever has the focus, and never presses a button.
  const held = new Map();
  const releaseAll = () => held.size && (held.clear(), send({ jog: [0, 0, 0] }));
  const release = (key) => held.delete(key) && !held.size && send({ jog: [0, 0, 0] });
  function jog() {
    const move = [0, 0, 0];
    for (const part of held.values()) part.forEach((value, axis) => (move[axis] += value));
    send({ jog: move });
  }
  function press(key, move) {
    if (!rig.jogs) return;
    held.set(key, move);
    jog();
  }
  addEventListener("keydown", (event) => {
    if (event.code === "Space") {
      event.preventDefault();
      event.stopImmediatePropagation();
      if (!event.repeat) stop();
    } else if (rig.jogs && KEYS[event.code]) {
      event.preventDefault();
      if (!event.repeat) press(event.code, KEYS[event.code]);
    }
  }, true);
  addEventListener("keyup", (event) => {
    if (event.code === "Space") {
      event.preventDefault();
      event.stopImmediatePropagation();
    } else release(event.code);
  }, true);
  for (const away of ["blur", "pagehide", "visibilitychange"]) {
    addEventListener(away, () => {
      padReady = false;
      releaseAll();
    }, true);
  }
  addEventListener("pointerdown", (event) => {
    const key = event.target.closest?.("[data-jog]");
    if (key) press("pointer", key.dataset.jog.split(",").map(Number));
  }, true);
  for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => release("pointer"), true);

  // A gamepad, in the standard layout: it moves the tool while a shoulder button is held, and its B (circle) stops. Whatever
  // ends a motion ends this one until the shoulder buttons were released: stop, blur, a hidden page, jogging switched off.
  const SHOULDERS = [4, 5], STOP_BUTTON = 1, DEAD_ZONE = 0.15;
  let padReady = false;
  let padStops = false;
  const tilt = (value) => (Math.abs(value) < DEAD_ZONE ? 0 : (value - Math.sign(value) * DEAD_ZONE) / (1 - DEAD_ZONE));
  function readPad() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected); // none without https or localhost
    const pad = pads.find((each) => each.mapping === "standard");
    const note = document.querySelector(".rig-pad");
    if (note) {
      note.textContent = pad ? "gamepad: hold a shoulder button and move the sticks; B (circle) stops"
        : pads.length ? "the browser does not know this gamepad's layout: it is not read" : "";
    }
    const stops = Boolean(pad?.buttons[STOP_BUTTON]?.pressed);
    if (stops && !padStops) stop();
    padStops = stops;
    const holds = pad && SHOULDERS.some((button) => pad.buttons[button]?.pressed);
    const listens = rig.jogs && !document.hidden && document.hasFocus();
    if (holds && padReady && listens) {
      const [y, x, , z] = pad.axes.map((value) => 0 - tilt(value));
      held.set("pad", [x, y, z]);
    } else {
      release("pad");
      padReady = Boolean(pad) && !holds && listens; // what was held before is not known to be held anew
    }
  }

  // The 3D view, which looks at its size only when the window changes, shrinks and grows with what stands below it.
  const sizes = new ResizeObserver(() => dispatchEvent(new Event("resize")));
  addEventListener("load", function observe() {
    const scene = document.querySelector(".rig-scene");
    if (scene) sizes.observe(scene);
    else setTimeout(observe, 100);
  });

  // Pictures: a new one of a kind comes when the last one was drawn.
  let pictures = null;
  function watch() {
    if (document.hidden || pictures) return;
    if (!document.querySelector(`.rig-picture-${names[0]}`)) return void setTimeout(watch, 50); // not built yet
    pictures = socketAt("/pictures");
    pictures.binaryType = "arraybuffer";
    pictures.onmessage = (event) => draw(new Uint8Array(event.data));
    pictures.onclose = () => {
      pictures = null;
      setTimeout(watch, 1000);
    };
  }
  function draw(bytes) {
    const end = bytes.indexOf(10);
    const [index, stamp, length] = new TextDecoder().decode(bytes.subarray(0, end)).split(" ").map(Number);
    const name = names[index];
    const image = document.querySelector(`.rig-picture-${name}`);
    const done = () => {
      if (pictures?.readyState === WebSocket.OPEN) pictures.send(String(index));
    };
    image?.classList.toggle("rig-empty", !length);
    if (!length || !image) return done();
    const url = URL.createObjectURL(new Blob([bytes.subarray(end + 1)], { type: "image/jpeg" }));
    image.onload = image.onerror = () => {
      URL.revokeObjectURL(url);
      requestAnimationFrame(() => { // a browser that is slow to paint gets fewer pictures
        rig.drawn[name] = { stamp, at: Date.now() / 1000, count: (rig.drawn[name]?.count ?? 0) + 1 };
        done();
      });
    };
    image.src = url;
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? pictures?.close() : watch()));
  document.addEventListener("DOMContentLoaded", watch);

  // Pictures that a person chooses or drops.
  async function upload(file) {
    if (!file) return;
    if (file.size > largest) return emitEvent("refused", `${file.name} has ${file.size} bytes; at most ${largest} are taken`);
    try {
      const answer = await fetch("/picture", { method: "POST", body: file });
      const said = await answer.json();
      if (answer.ok) emitEvent("candidate", said.candidate);
      else emitEvent("refused", said.error);
    } catch (error) {
      emitEvent("refused", `${file.name} was not sent: ${error.message}`);
    }
  }
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    upload(event.dataTransfer.files[0]);
  });
  addEventListener("change", (event) => {
    if (!event.target.matches?.(".rig-file")) return;
    upload(event.target.files[0]);
    event.target.value = "";
  }, true);
})();
