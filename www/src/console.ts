// The DQL console: one statement, its answer, or its mistake with the caret under it.

import type { Ditto } from 'shoal';
import { failureOf } from './database.js';
import { byId, h } from './dom.js';
import { json, plural } from './format.js';

const rowsShown = 100;

const examples: readonly { label: string; text: string }[] = [
  { label: 'Best dramas', text: "SELECT Title, `IMDB Rating` FROM movies\nWHERE `Major Genre` = 'Drama' AND `IMDB Rating` > 8.5\nORDER BY `IMDB Rating` DESC LIMIT 10" },
  { label: 'Count', text: "SELECT COUNT(*) AS japanese FROM cars WHERE Origin = 'Japan'" },
  { label: 'Rank', text: "SELECT Title, `Major Genre`, place FROM (\n  SELECT Title, `Major Genre`, `IMDB Rating` AS rating,\n    RANK() OVER (PARTITION BY `Major Genre` ORDER BY `IMDB Rating` DESC) AS place\n  FROM movies WHERE `IMDB Rating` > 0) best\nWHERE place = 1 ORDER BY rating DESC" },
  { label: 'Explain', text: "EXPLAIN SELECT Title FROM movies\nWHERE Director = 'Akira Kurosawa'" },
  { label: 'Index', text: 'CREATE INDEX IF NOT EXISTS by_director\nON movies (Director)' },
  { label: 'Insert', text: "INSERT INTO movies DOCUMENTS\n({'_id': 'sample', 'Title': 'A film of mine', 'IMDB Rating': 9.9})\nON ID CONFLICT DO UPDATE RETURNING _id" },
  { label: 'A mistake', text: 'SELECT Title FROM movies\nWHERE `IMDB Rating` >> > 8' },
];

export class Console {
  private readonly input = byId<HTMLTextAreaElement>('statement');
  private readonly output = byId('answer');

  constructor(private readonly ditto: Ditto) {
    byId('examples').replaceChildren(
      ...examples.map((example) => h('button', { type: 'button', class: 'chip', onclick: () => this.use(example.text) }, example.label)),
    );
    byId('console-form').addEventListener('submit', (event) => {
      event.preventDefault();
      void this.run();
    });
    this.input.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        void this.run();
      }
    });
    this.input.value = examples[0]!.text;
  }

  private use(text: string): void {
    this.input.value = text;
    this.input.focus();
    void this.run();
  }

  private async run(): Promise<void> {
    const text = this.input.value.trim();
    if (text === '') return;
    const started = performance.now();
    this.output.setAttribute('aria-busy', 'true');
    try {
      const result = await this.ditto.store.execute<Record<string, unknown>>(text);
      const took = `${(performance.now() - started).toFixed(1)} ms`;
      const changed = result.mutatedDocumentIDsV2();
      const rows = result.items.map((item) => item.value);
      this.output.replaceChildren(
        h('p', { class: 'subtle', id: 'answer-summary' }, `${told(text, changed.length, rows.length)} · ${took}`),
        ...rows.slice(0, rowsShown).map((row) => h('pre', { class: 'result' }, json(row, 2))),
      );
      if (rows.length > rowsShown) this.output.append(h('p', { class: 'subtle' }, `The first ${rowsShown} are shown.`));
    } catch (error) {
      const { code, message } = failureOf(error);
      const [first = '', ...lines] = message.split('\n');
      this.output.replaceChildren(
        h('div', { class: 'mistake', role: 'alert' }, h('p', { class: 'code' }, code), h('p', { class: 'mono' }, first),
          lines.length > 0 && pointed(lines.join('\n'))),
      );
      this.output.querySelector('#mistake mark')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    } finally {
      this.output.removeAttribute('aria-busy');
    }
  }
}

/** What a statement has done, by its first word and what came of it. */
function told(statement: string, changed: number, rows: number): string {
  const word = /[a-z]+/i.exec(statement.replace(/--.*|\/\*[^]*?\*\//g, ''))?.[0].toUpperCase() ?? '';
  if (['ALTER', 'CREATE', 'DROP'].includes(word)) return 'Done';
  if (changed > 0 || ['DELETE', 'EVICT', 'INSERT', 'UPDATE'].includes(word)) return `${plural(changed, 'document')} changed`;
  return plural(rows, 'row');
}

/** The place of a mistake: a line of the statement and carets under it, which narrow screens scroll to. */
function pointed(lines: string): HTMLElement {
  const at = lines.search(/\^+\s*$/);
  if (at < 0) return h('pre', { id: 'mistake', tabindex: '0' }, lines);
  return h('pre', { id: 'mistake', tabindex: '0' }, lines.slice(0, at), h('mark', {}, lines.slice(at)));
}
