// One panel of a figure, off the page's thread. The newest request wins; every request that is still the newest is answered, if only by an error.
import * as core from './core.js';

let newest = 0;
const kept = new Map(), known = new Map();  // the last few results by setting; test errors, which are numbers, are many
const pause = () => new Promise(go => setTimeout(go));  // lets a newer request in

function keep(key, make, store = kept, most = 6) {
  const value = store.has(key) ? store.get(key) : make();
  store.delete(key), store.set(key, value);  // the last to go
  if (store.size > most) store.delete(store.keys().next().value);
  return value;
}

async function answer({ id, s, errors }) {
  const rows = [s.target, s.d, s.ratio, s.noise, s.seed].join(), data = stream => keep(`${rows} ${stream}`, () => core.draw(s, stream, [undefined, Math.min(10_000, Math.round(s.ratio * s.d)), 3000][stream]));
  const start = performance.now(), first = data(0);
  await pause();
  if (id !== newest) return;
  const L = keep(`${rows} ${s.loss} ${s.m}`, () => core.look(s, first)), { eig, W, a, length, ...shown } = L;
  postMessage({ id, L: { ...shown, passed: core.passedOn(s.target, s.loss, L.c) }, ms: performance.now() - start });
  for (const t of errors ?? []) {
    for (const stream of [1, 2]) {
      await pause();
      if (id !== newest) return;
      data(stream);
    }
    const error = keep(`${rows} ${s.loss} ${s.m} error ${t}`, () => core.testError(s, L, data(1), data(2), t), known, 500);
    await pause();
    if (id !== newest) return;
    postMessage({ id, t, error });
  }
}

onmessage = ({ data }) => {
  newest = data.id;
  answer(data).catch(error => postMessage({ id: data.id, fault: error.message }));
};
