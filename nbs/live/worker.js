// One or both panels of a figure, off the page's thread. The newest request wins; every request that is still the newest is answered, if only by an error.
import * as core from './core.js';

let newest = 0;
const MOST = { rows: 4, data: 8, look: 60, error: 500 }, stores = { rows: new Map(), data: new Map(), look: new Map(), error: new Map() };  // the last few results by setting
const pause = () => new Promise(go => setTimeout(go));  // lets a newer request in

function keep(kind, key, make) {
  const store = stores[kind], value = store.has(key) ? store.get(key) : make();
  store.delete(key), store.set(key, value);  // the last to go
  if (store.size > MOST[kind]) store.delete(store.keys().next().value);
  return value;
}

function data(s, stream) {
  const n = [Math.round(s.ratio * s.d), Math.min(10_000, Math.round(s.ratio * s.d)), 3000][stream], rows = [s.d, n, s.seed, stream].join();
  return keep('data', [s.target, s.noise, rows].join(), () => core.draw(s, stream, n, keep('rows', rows, () => core.normalRows(n, s.d, s.seed, stream))));
}

/** Answers for the setting, then the errors after some steps; last, other places of the knob in hand are looked at, in case they are asked for. */
async function answer({ id, side, s, errors = [], others = [], known }) {
  const start = performance.now(), name = s => [s.target, s.d, s.ratio, s.noise, s.seed, s.loss, s.m].join();
  const look = async s => {
    if (!stores.look.has(name(s))) data(s, 0), await pause();
    return id === newest && keep('look', name(s), () => core.look(s, data(s, 0)));
  };
  const L = await look(s);
  if (!L) return;
  const { basis, W, a, ...shown } = L;
  if (!known) postMessage({ id, side, L: { ...shown, passed: core.passedOn(s.target, s.loss, L.c) }, ms: performance.now() - start });
  for (const t of errors) {
    for (const stream of [1, 2]) {
      await pause();
      if (id !== newest) return;
      data(s, stream);
    }
    const error = keep('error', `${name(s)} ${t}`, () => core.testError(s, L, data(s, 1), data(s, 2), t));
    await pause();
    if (id !== newest) return;
    postMessage({ id, side, t, error });
  }
  for (const other of others) {
    await pause();
    if (!await look({ ...s, ...other })) return;
  }
}

onmessage = ({ data: request }) => {
  newest = request.id;
  answer(request).catch(error => postMessage({ id: request.id, side: request.side, fault: error.message }));
};
