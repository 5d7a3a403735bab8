// What phoenix.js keeps to on a connection, checked for each message of one client: another client that keeps to it
// too will be understood by every Phoenix.

// Rules watches the messages of one connection. broken is called with a sentence for each that no phoenix.js would send.
export class Rules {
  #broken;
  #lastRef = 0;
  #topics = new Map(); // topic -> { joinRef, state: "joining" | "joined" | "leaving" }

  constructor(broken) {
    this.#broken = broken;
  }

  // request looks at the upgrade request, whose path ends in /websocket and which asks for the V2 serializer.
  request(request) {
    const url = new URL(request.url, "ws://host");
    this.#want(url.pathname.endsWith("/websocket"), `the path is ${url.pathname}`);
    this.#want(url.searchParams.get("vsn") === "2.0.0", `vsn is ${url.searchParams.get("vsn")}`);
    this.#want(request.headers.host?.endsWith(`:${request.socket.localPort}`), `Host is ${request.headers.host}`);
    this.#want(request.headers["sec-websocket-version"] === "13", "Sec-WebSocket-Version is not 13");
    const key = request.headers["sec-websocket-key"] ?? "";
    this.#want(Buffer.from(key, "base64").length === 16 && key.length === 24, `Sec-WebSocket-Key is ${key}`);
  }

  // message returns [joinRef, ref, topic, event, payload] of a text frame, or null if it is none.
  message(data, binary) {
    let message = null;
    try {
      message = JSON.parse(data);
    } catch {}
    if (!this.#want(!binary && Array.isArray(message) && message.length === 5, `a frame that is no message: ${data}`))
      return null;
    const [joinRef, ref, topic, event, payload] = message;
    const said = (what) => `${what}: ${data}`;
    const strings = [ref, topic, event].every((value) => typeof value === "string" && value !== "");
    if (!this.#want(strings, said("ref, topic and event are not strings"))) return null;
    this.#want(payload?.constructor === Object, said("a payload that is no object"));
    this.#want(
      /^[1-9]\d*$/.test(ref) && Number(ref) > this.#lastRef,
      said(`a ref that does not come after ${this.#lastRef}`),
    );
    this.#lastRef = Number(ref);
    if (topic === "phoenix") {
      this.#want(joinRef === null && event === "heartbeat", said("no heartbeat, and on the topic phoenix"));
    } else {
      this.#onTopic(said, joinRef, ref, topic, event);
    }
    return message;
  }

  #onTopic(said, joinRef, ref, topic, event) {
    const joined = this.#topics.get(topic);
    if (event === "phx_join") {
      this.#want(joinRef === ref, said("a join whose join_ref is not its ref"));
      this.#want(!joined, said(`a join of a topic that is ${joined?.state}`));
      this.#topics.set(topic, { joinRef, state: "joining" });
      return;
    }
    const open = joined && joined.state !== "leaving";
    if (!this.#want(open, said(`a message for a topic that is ${joined?.state ?? "not joined"}`))) return;
    this.#want(joinRef === joined.joinRef, said(`a join_ref that is not the join's, ${joined.joinRef}`));
    if (event === "phx_leave") joined.state = "leaving";
    else this.#want(joined.state === "joined", said("a push before the join was answered"));
  }

  // joined and gone say what the server has answered, or is about to.
  joined(topic) {
    this.#topics.get(topic).state = "joined";
  }

  gone(topic) {
    this.#topics.delete(topic);
  }

  #want(holds, otherwise) {
    if (!holds) this.#broken(otherwise);
    return holds;
  }
}
