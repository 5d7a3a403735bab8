// MessagePack for the phoenix client, in one file and without a package: take it as it is, or take a library that you
// like and keep the last lines.
//
//   import { Socket } from "phoenix";
//   import { messagePack } from "./msgpack.mjs";
//   const socket = new Socket("/socket", messagePack(WebSocket));
//
// What becomes what: integers beyond 2^53 are BigInt, bytes are Uint8Array (ArrayBuffer and its views are taken),
// timestamps are Date, any other extension is an Extension.

export class Extension {
  constructor(type, data) {
    this.type = type;
    this.data = data;
  }
}

const utf8 = new TextEncoder();
const strictUTF8 = new TextDecoder("utf-8", { fatal: true });

class Packer {
  bytes = new Uint8Array(256);
  view = new DataView(this.bytes.buffer);
  end = 0;

  // room makes room for size more bytes and returns where they begin.
  room(size) {
    const start = this.end;
    this.end += size;
    if (this.end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(this.end, 2 * this.bytes.length));
      grown.set(this.bytes.subarray(0, start));
      this.bytes = grown;
      this.view = new DataView(grown.buffer);
    }
    return start;
  }

  byte(value) {
    const at = this.room(1); // which may replace bytes and view
    this.bytes[at] = value;
  }

  // number appends a code and a number that is written by one of DataView's setters.
  number(code, setter, size, value) {
    this.byte(code);
    const at = this.room(size);
    this.view[setter](at, value);
  }

  append(bytes) {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
  }

  // size appends the size of something: in the code itself if it is below limit, else in 1, 2 or 4 bytes.
  size(size, fixed, limit, codes) {
    if (size < limit) this.byte(fixed | size);
    else if (size < 0x100 && codes[0]) this.number(codes[0], "setUint8", 1, size);
    else if (size < 0x10000) this.number(codes[1], "setUint16", 2, size);
    else this.number(codes[2], "setUint32", 4, size);
  }

  integer(n) {
    if (n >= 0) {
      if (n < 0x80) this.byte(n);
      else if (n < 0x100) this.number(0xcc, "setUint8", 1, n);
      else if (n < 0x10000) this.number(0xcd, "setUint16", 2, n);
      else if (n < 0x100000000) this.number(0xce, "setUint32", 4, n);
      else this.number(0xcf, "setBigUint64", 8, BigInt(n));
    } else if (n >= -0x20) this.byte(n & 0xff);
    else if (n >= -0x80) this.number(0xd0, "setInt8", 1, n);
    else if (n >= -0x8000) this.number(0xd1, "setInt16", 2, n);
    else if (n >= -0x80000000) this.number(0xd2, "setInt32", 4, n);
    else this.number(0xd3, "setBigInt64", 8, BigInt(n));
  }

  value(v) {
    switch (typeof v) {
      case "boolean":
        return this.byte(v ? 0xc3 : 0xc2);
      case "number":
        if (Number.isSafeInteger(v) && !Object.is(v, -0)) return this.integer(v);
        return this.number(0xcb, "setFloat64", 8, v);
      case "bigint":
        if (BigInt.asIntN(64, v) !== v && BigInt.asUintN(64, v) !== v) throw new RangeError(`${v} is beyond 64 bits`);
        return v < 0n ? this.number(0xd3, "setBigInt64", 8, v) : this.number(0xcf, "setBigUint64", 8, v);
      case "string":
        return this.string(v);
      case "object":
        return v === null ? this.byte(0xc0) : this.object(v);
    }
    this.byte(0xc0); // undefined, and what JSON has no form for either
  }

  string(s) {
    const bytes = utf8.encode(s);
    this.size(bytes.length, 0xa0, 32, [0xd9, 0xda, 0xdb]);
    this.append(bytes);
  }

  object(v) {
    if (Array.isArray(v)) {
      this.size(v.length, 0x90, 16, [0, 0xdc, 0xdd]);
      for (const element of v) this.value(element);
    } else if (v instanceof ArrayBuffer || ArrayBuffer.isView(v)) {
      const bytes = ArrayBuffer.isView(v) ? new Uint8Array(v.buffer, v.byteOffset, v.byteLength) : new Uint8Array(v);
      this.size(bytes.length, 0, 0, [0xc4, 0xc5, 0xc6]);
      this.append(bytes);
    } else if (v instanceof Date) {
      this.object(new Extension(-1, timestamp(v)));
    } else if (v instanceof Extension) {
      const fixed = [1, 2, 4, 8, 16].indexOf(v.data.length);
      if (fixed >= 0) this.byte(0xd4 + fixed);
      else this.size(v.data.length, 0, 0, [0xc7, 0xc8, 0xc9]);
      this.byte(v.type & 0xff);
      this.append(v.data);
    } else if (typeof v.toJSON === "function") {
      this.value(v.toJSON());
    } else {
      const entries = Object.entries(v).filter(([, value]) => value !== undefined && typeof value !== "function");
      this.size(entries.length, 0x80, 16, [0, 0xde, 0xdf]);
      for (const [key, value] of entries) {
        this.string(key);
        this.value(value);
      }
    }
  }
}

// timestamp is the form of 12 bytes: nanoseconds, then seconds.
function timestamp(date) {
  const view = new DataView(new ArrayBuffer(12));
  const seconds = Math.floor(date / 1000);
  view.setUint32(0, (date - seconds * 1000) * 1e6);
  view.setBigInt64(4, BigInt(seconds));
  return new Uint8Array(view.buffer);
}

export function pack(value) {
  const packer = new Packer();
  packer.value(value);
  return packer.bytes.slice(0, packer.end);
}

class Unpacker {
  at = 0;

  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  // number reads with one of DataView's getters, which throw a RangeError beyond the end.
  number(getter, size) {
    this.at += size;
    return this.view[getter](this.at - size);
  }

  long(getter) {
    const n = this.number(getter, 8);
    return Number.isSafeInteger(Number(n)) ? Number(n) : n;
  }

  slice(size) {
    if (size > this.bytes.length - this.at) throw new RangeError("the message is cut short");
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }

  string = (size) => strictUTF8.decode(this.slice(size));

  array(size) {
    if (size > this.bytes.length - this.at) throw new RangeError("more elements than bytes");
    return Array.from({ length: size }, () => this.value());
  }

  map(size) {
    if (2 * size > this.bytes.length - this.at) throw new RangeError("more elements than bytes");
    return Object.fromEntries(Array.from({ length: size }, () => [this.value(), this.value()]));
  }

  extension(size) {
    const type = this.number("getInt8", 1);
    const data = this.slice(size);
    const view = new DataView(data.buffer);
    const date = (seconds, nanos) => new Date(Number(seconds) * 1000 + Math.floor(nanos / 1e6));
    if (type === -1 && size === 4) return date(view.getUint32(0), 0);
    if (type === -1 && size === 8) return date(view.getBigUint64(0) & 0x3ffffffffn, view.getUint32(0) >>> 2);
    if (type === -1 && size === 12) return date(view.getBigInt64(4), view.getUint32(0));
    return new Extension(type, data);
  }

  value() {
    const code = this.number("getUint8", 1);
    if (code < 0x80) return code;
    if (code < 0x90) return this.map(code & 0x0f);
    if (code < 0xa0) return this.array(code & 0x0f);
    if (code < 0xc0) return this.string(code & 0x1f);
    if (code >= 0xe0) return code - 0x100;
    if (code >= 0xd4 && code <= 0xd8) return this.extension(1 << (code - 0xd4));
    const size = () => this.number(...[["getUint8", 1], ["getUint16", 2], ["getUint32", 4]][(code - sized[code]) % 3]);
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return this.slice(size());
      case 0xc7: case 0xc8: case 0xc9: return this.extension(size());
      case 0xca: return this.number("getFloat32", 4);
      case 0xcb: return this.number("getFloat64", 8);
      case 0xcc: return this.number("getUint8", 1);
      case 0xcd: return this.number("getUint16", 2);
      case 0xce: return this.number("getUint32", 4);
      case 0xcf: return this.long("getBigUint64");
      case 0xd0: return this.number("getInt8", 1);
      case 0xd1: return this.number("getInt16", 2);
      case 0xd2: return this.number("getInt32", 4);
      case 0xd3: return this.long("getBigInt64");
      case 0xd9: case 0xda: case 0xdb: return this.string(size());
      case 0xdc: case 0xdd: return this.array(size());
      case 0xde: case 0xdf: return this.map(size());
    }
    throw new TypeError(`0x${code.toString(16)} begins no value`);
  }
}

// sized is the code whose size would have one byte, for each that is followed by a size.
const sized = { 0xc4: 0xc4, 0xc5: 0xc4, 0xc6: 0xc4, 0xc7: 0xc7, 0xc8: 0xc7, 0xc9: 0xc7, 0xd9: 0xd9, 0xda: 0xd9, 0xdb: 0xd9,
  0xdc: 0xdb, 0xdd: 0xdb, 0xde: 0xdd, 0xdf: 0xdd };

export function unpack(data) {
  const unpacker = new Unpacker(new Uint8Array(data));
  const value = unpacker.value();
  if (unpacker.at !== unpacker.bytes.length) throw new RangeError("something follows the value");
  return value;
}

// messagePack returns the options that make a Socket of phoenix.js speak MessagePack over the WebSocket given. Do not
// combine them with longPollFallbackMs: the client would send the same bytes by long-poll, where JSON is spoken.
export const messagePack = (WebSocket) => ({
  transport: class extends WebSocket {
    constructor(url, protocols = []) {
      super(url, ["phoenix.msgpack", ...protocols]);
    }
  },
  encode: ({ join_ref, ref, topic, event, payload }, send) => send(pack([join_ref, ref, topic, event, payload]).buffer),
  decode: (data, receive) => {
    const [join_ref, ref, topic, event, payload] = unpack(data);
    receive({ join_ref, ref, topic, event, payload });
  },
});
