// A client in a process of its own, to be killed: node presence.client.mjs <url> <topic> <key>

import { Socket } from "phoenix";
import WebSocket from "ws";

const [url, topic, key] = process.argv.slice(2);
const socket = new Socket(url, { transport: WebSocket });
socket.connect();
socket.channel(topic, { key, name: "a process" }).join();
