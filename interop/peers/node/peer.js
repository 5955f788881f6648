// Node's `tls` module.
//
// peer.js ROLE VERSION CERTIFICATE KEY PORT
'use strict';

const { readFileSync } = require('node:fs');
const net = require('node:net');
const readline = require('node:readline');
const tls = require('node:tls');

const HELLO = 'hello\n';
const FLIGHT = Buffer.alloc(256 * 1024);
const ANSWER = Buffer.alloc(64 * 1024);

const [role, version, certificate, key, port] = process.argv.slice(2);
const options = {
  minVersion: `TLSv${version}`,
  maxVersion: `TLSv${version}`,
  // Else it ends its own side as soon as the peer has.
  allowHalfOpen: true,
};

let session;
let server;
const accepted = [];
let waiting;

/** Resolves to a TLS socket and the TCP socket below. */
function connect() {
  if (!server) {
    const tcp = net.connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    const ca = readFileSync(certificate);
    const socket = tls.connect({ ...options, socket: tcp, ca, servername: 'localhost', session });
    socket.on('session', (ticket) => {
      session = ticket;
    });
    return Promise.resolve([socket, tcp]);
  }
  if (accepted.length) return Promise.resolve(accepted.shift());
  return new Promise((resolve) => {
    waiting = resolve;
  });
}

function nameOf(error) {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return 'reset';
  return `error:${error.code}`;
}

/** Counts what comes, and knows how it ends. */
class Reader {
  constructor(socket) {
    this.got = 0;
    this.ended = new Promise((resolve) => {
      socket.on('end', () => resolve('close_notify'));
      socket.on('error', (error) => resolve(nameOf(error)));
      socket.on('close', () => resolve('closed'));
    });
    socket.on('data', (data) => {
      this.got += data.length;
      this.wake?.();
    });
  }

  /** Resolves once so much has come. */
  async has(bytes) {
    while (this.got < bytes) {
      const more = new Promise((resolve) => {
        this.wake = resolve;
      });
      await Promise.race([more, this.ended]);
    }
  }
}

function write(socket, data) {
  return new Promise((resolve) => {
    socket.once('close', () => resolve(0));
    socket.write(data, (error) => resolve(error ? 0 : data.length));
  });
}

async function play(scenario, socket, tcp) {
  const reader = new Reader(socket);
  await reader.has(HELLO.length);
  await write(socket, HELLO);
  let sent = 0;
  let end = '-';
  switch (scenario) {
    case 'answer':
      end = await reader.ended;
      socket.end();
      break;
    case 'close':
      socket.end();
      break;
    case 'flight':
      [sent, end] = await Promise.all([write(socket, FLIGHT), reader.ended]);
      socket.end();
      break;
    case 'half':
      end = await reader.ended;
      sent = await write(socket, ANSWER);
      socket.end();
      break;
    case 'cut':
      await reader.has(2 * HELLO.length);
      socket.destroy();
      break;
    case 'abort':
      await reader.has(2 * HELLO.length);
      tcp.resetAndDestroy();
      break;
  }
  return `sent=${sent} got=${reader.got - HELLO.length} end=${end}`;
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [socket, tcp] = await connect();
    console.log(await play(line, socket, tcp));
  }
  process.exit();
}

const ready = (own) => console.log(`ready ${own} Node ${process.version}, OpenSSL ${process.versions.openssl}`);

if (role === 'server') {
  const tcps = [];
  server = tls.createServer({ ...options, cert: readFileSync(certificate), key: readFileSync(key) });
  server.on('connection', (tcp) => tcps.push(tcp));
  server.on('secureConnection', (socket) => {
    const pair = [socket, tcps.shift()];
    if (waiting) {
      waiting(pair);
      waiting = undefined;
    } else {
      accepted.push(pair);
    }
  });
  server.listen(0, '127.0.0.1', () => {
    ready(server.address().port);
    main();
  });
} else {
  ready(0);
  main();
}
