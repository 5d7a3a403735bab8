// node presence.mjs PHOENIX LOG: gives phoenix.js's own class Presence what a client got, and compares
// what it comes to. PHOENIX is the package's phoenix.mjs; a line of LOG is ["join"], ["state", payload],
// ["diff", payload] or, at the end of each client, ["want", state].
import fs from "node:fs"
import { pathToFileURL } from "node:url"

const [phoenix, log] = process.argv.slice(2)
const { Presence } = await import(pathToFileURL(phoenix))

class Channel {
  joins = 0
  handlers = {}
  on(event, handler) { this.handlers[event] = handler }
  joinRef() { return this.joins ? String(this.joins) : null }
}

const sorted = (object) => Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1))
const text = (state) => JSON.stringify(sorted(state).map(([key, { metas }]) =>
  [key, metas.map((meta) => JSON.stringify(sorted(meta))).sort()]))

let channel = new Channel()
let presence = new Presence(channel)
let clients = 0
for (const line of fs.readFileSync(log, "utf8").split("\n").filter(Boolean)) {
  const [kind, payload] = JSON.parse(line)
  if (kind === "join") {
    channel.joins++
  } else if (kind === "want") {
    if (text(presence.state) !== text(payload)) {
      console.log(`client ${clients} has\n${text(presence.state)}\nwant\n${text(payload)}`)
      process.exit(1)
    }
    clients++
    channel = new Channel()
    presence = new Presence(channel)
  } else {
    channel.handlers[`presence_${kind}`](payload)
  }
}
console.log(`${clients} clients`)
