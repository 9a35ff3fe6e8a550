// Changes the content in place when a link is followed or a form is sent, so that the tree stays as it is.

const PAGES = /^\/(?:$|keys\/|entry\/|search|new$|deleted\/|upload$)/;

export class Navigation {
  #main;
  #said;
  #afterwards = [];
  #current = null;

  constructor(main, said) {
    this.#main = main;
    this.#said = said;
    document.addEventListener("click", (event) => this.#clicked(event));
    document.addEventListener("submit", (event) => this.#submitted(event));
    window.addEventListener("popstate", () => this.#show(fetch(location.href), null));
  }

  // Calls a function after each change of the content.
  afterwards(call) {
    this.#afterwards.push(call);
  }

  // Shows the page of an address.
  go(address) {
    const url = new URL(address, location.href);
    return this.#show(fetch(url), url);
  }

  #clicked(event) {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const url = new URL(link.href);
    if (url.origin !== location.origin || link.hasAttribute("download") || !PAGES.test(url.pathname) || url.hash) return;
    event.preventDefault();
    this.go(url);
  }

  #submitted(event) {
    const form = event.target;
    const url = new URL(form.action);
    if (event.defaultPrevented || url.origin !== location.origin || !PAGES.test(url.pathname)) return;
    event.preventDefault();
    const data = new FormData(form, event.submitter);
    if (form.method !== "post") {
      url.search = new URLSearchParams(data);
      this.go(url);
      return;
    }
    const body = form.enctype === "multipart/form-data" ? data : new URLSearchParams(data);
    this.#show(fetch(url, { method: "POST", body }), "answer").then(() => {
      document.dispatchEvent(new CustomEvent("coshelf:changed"));
    });
  }

  // Shows the page that is fetched. `target`: its address, "answer" for that of the response, or null for none.
  async #show(fetched, target) {
    const mine = (this.#current = {});
    this.#main.setAttribute("aria-busy", "true");
    let response, text;
    try {
      response = await fetched;
      text = await response.text();
    } catch {
      this.#said.textContent = "The viewer does not answer. It may have been ended.";
      this.#main.removeAttribute("aria-busy");
      if (target instanceof URL) location.href = target;
      return;
    }
    if (mine !== this.#current) return;
    this.#main.removeAttribute("aria-busy");
    const page = new DOMParser().parseFromString(text, "text/html");
    const content = page.getElementById("main");
    if (!content) {
      location.reload(); // this browser has been let out: the server says so
      return;
    }
    if (target instanceof URL) history.pushState(null, "", target);
    else if (target === "answer" && response.redirected) history.pushState(null, "", response.url);
    document.title = page.title;
    this.#main.replaceChildren(...document.importNode(content, true).childNodes);
    this.#main.scrollTop = 0;
    this.#main.focus({ preventScroll: true });
    this.#said.textContent = page.title;
    for (const call of this.#afterwards) call();
  }
}
