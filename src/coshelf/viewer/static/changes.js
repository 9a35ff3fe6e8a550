// The changes of the shelf, as server-sent events. The stream is closed while the page is hidden, because a browser has
// few connections to one server, and goes on where it was.

/** Events: "open"; "lost"; "changes" with what the viewer told; "stopped" with the reason why nothing more comes. */
export class Changes extends EventTarget {
  constructor(address, since) {
    super();
    this.address = address;
    this.since = since || null;
    this.stopped = false;
    this.source = null;
    document.addEventListener("visibilitychange", () => this.follow());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", () => this.follow());
    this.follow();
  }

  follow() {
    if (document.hidden || this.stopped) this.close();
    else if (this.source === null) this.open();
  }

  open() {
    const address = new URL(this.address, location.origin);
    if (this.since !== null) address.searchParams.set("since", this.since);
    this.source = new EventSource(address);
    this.source.addEventListener("open", () => this.tell("open"));
    this.source.addEventListener("error", () => this.tell("lost"));
    this.source.addEventListener("changes", (event) => {
      this.since = event.lastEventId;
      this.tell("changes", JSON.parse(event.data));
    });
    this.source.addEventListener("stopped", (event) => {
      this.stopped = true;
      this.close();
      this.tell("stopped", JSON.parse(event.data).reason);
    });
  }

  close() {
    if (this.source !== null) this.source.close();
    this.source = null;
  }

  tell(name, detail) {
    document.body.dataset.live = name === "changes" ? "open" : name;
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

let shared = null;

/** The changes that the page is about: one stream for all its scripts. Null if the engine does not tell of changes. */
export function changes() {
  const { changes: address, since } = document.body.dataset;
  if (address && shared === null) shared = new Changes(address, since);
  return shared;
}
