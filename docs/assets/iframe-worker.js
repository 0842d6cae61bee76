// The search runs in a Web Worker, which browsers refuse to start from disk
// (file://). There, this file puts a hidden frame in the worker's place: the same
// script, in a window of its own, with the same two ways to talk. Zensical looks for
// "iframe-worker" in the name, and loads a script from the network unless it is here.
(() => {
  "use strict";
  if (location.protocol !== "file:") return;

  class FrameWorker {
    onmessage = null;
    onerror = null;
    onmessageerror = null;

    constructor(url) {
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.append(this.frame);
      const inner = this.frame.contentWindow;
      inner.postMessage = (data) => this.#deliver(this, data);
      this.ready = new Promise((resolve, reject) => {
        const script = inner.document.createElement("script");
        script.src = new URL(url, document.baseURI);
        script.onload = resolve;
        script.onerror = reject;
        inner.document.documentElement.append(script);
      });
      this.ready.catch((event) => this.onerror?.(event));
    }

    postMessage(data) {
      const sent = structuredClone(data); // as a worker would: later changes stay here
      this.ready.then(() => this.#deliver(this.frame.contentWindow, sent), () => {});
    }

    terminate() {
      this.frame.remove();
    }

    #deliver(target, data) {
      setTimeout(() => this.frame.isConnected && target.onmessage?.({ data }));
    }
  }

  window.Worker = FrameWorker;
})();
