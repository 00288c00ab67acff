// What the terminal shows: a line for every measurement as it comes, and a table at the end in which a missed goal says so.

import { met, show } from './figures.mjs';

const width = 13;

/** Prints one measurement. */
export function progress(started, round, what, contestant, text) {
  const time = `${Math.round((performance.now() - started) / 1000)} s`.padStart(6);
  const turn = round === null ? 'once   ' : `round ${round + 1}`;
  console.log(`${time}  ${turn}  ${what.padEnd(11)} ${contestant.padEnd(12)} ${text}`);
}

/** Prints the medians of all contestants, ours first. A smoke run has other sizes than the goals, so nothing is said about them. */
export function table({ goals, extras }, report, ours) {
  const peers = Object.keys(report.peers);
  const judged = report.run.mode !== 'smoke';
  const rows = (names, figuresOf) => {
    for (const name of names) {
      const own = figuresOf(report)[name];
      const cells = [own, ...peers.map((peer) => figuresOf(report.peers[peer])[name])];
      if (!cells.some(measured)) continue;
      const numbers = cells.map((cell) => (measured(cell) ? show(cell.value) : '–').padStart(width)).join('');
      console.log(`${name.padEnd(24)}${numbers}  ${judged && measured(own) && goals[name]?.goal !== undefined ? verdict(goals[name], own.value) : ''}`);
    }
  };
  console.log(`\n${'median'.padEnd(24)}${[ours, ...peers].map((name) => name.padStart(width)).join('')}  ${judged ? `goal of ${ours}` : 'a smoke run: no figures'}`);
  rows(Object.keys(goals), (part) => part);
  console.log('');
  rows(Object.keys(extras), (part) => part.extra);
}

const measured = (figure) => typeof figure?.value === 'number';

function verdict(about, value) {
  return `${about.over ? 'at least' : 'at most'} ${about.goal}: ${met(about, value) ? 'met' : 'MISSED'}`;
}
