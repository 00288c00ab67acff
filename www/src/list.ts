// A list of any length that keeps only the rows in sight: it watches one window of rows (LIMIT, OFFSET) and moves it while scrolling.

import { debounced, h } from './dom.js';
import type { Row } from './collection.js';

const windowRows = 120;
const windowStep = 30;
const overscanRows = 6;

export interface RowSource {
  /** Watches rows `offset … offset + limit`, calls back with each answer, and returns what ends the watch. */
  watch: (offset: number, limit: number, changed: (rows: Row[]) => void) => () => void;
}

export interface ListOptions {
  scroller: HTMLElement;
  rowHeight: () => number;
  fill: (element: HTMLElement, row: Row) => void;
  open: (row: Row) => void;
}

export class VirtualList {
  private source: RowSource | undefined;
  private total = 0;
  private windowStart = -1;
  private endWatch: (() => void) | undefined;
  private rows = new Map<number, Row>();
  private pool: HTMLElement[] = [];
  private active = -1;
  private selectedId: string | undefined;
  private frame = 0;
  private readonly canvas: HTMLElement;
  private readonly followScroll = debounced(40, () => this.moveWindow());

  constructor(private readonly options: ListOptions) {
    this.canvas = h('div', { class: 'rows', role: 'presentation' });
    options.scroller.append(this.canvas);
    options.scroller.addEventListener('scroll', () => {
      this.schedule();
      this.followScroll();
    }, { passive: true });
    options.scroller.addEventListener('keydown', (event) => this.onKey(event));
    options.scroller.addEventListener('click', (event) => this.onClick(event));
    new ResizeObserver(() => this.schedule()).observe(options.scroller);
  }

  /** Shows another source from its start; the old rows stay until the first answer. */
  show(source: RowSource): void {
    this.source = source;
    this.windowStart = -1;
    this.active = -1;
    this.options.scroller.setAttribute('aria-busy', 'true');
    let first = true;
    this.watchFrom(0, () => {
      if (!first) return;
      first = false;
      this.rows.clear();
      this.options.scroller.scrollTop = 0;
      this.options.scroller.removeAttribute('aria-busy');
    });
  }

  setTotal(total: number): void {
    this.total = total;
    if (this.active >= total) this.active = total - 1;
    this.schedule();
  }

  select(id: string | undefined): void {
    this.selectedId = id;
    this.schedule();
  }

  /** Draws again, for example after the row height has changed. */
  refresh(): void {
    this.schedule();
  }

  private moveWindow(): void {
    const { first, last } = this.visible();
    const inside = this.windowStart >= 0 && first >= this.windowStart && last <= this.windowStart + windowRows;
    if (inside || !this.source) return;
    const start = Math.max(0, Math.floor((first - windowStep) / windowStep) * windowStep);
    if (start !== this.windowStart) this.watchFrom(start);
  }

  private watchFrom(start: number, beforeFirst?: () => void): void {
    if (!this.source) return;
    const endOld = this.endWatch;
    this.windowStart = start;
    this.endWatch = this.source.watch(start, windowRows, (rows) => {
      beforeFirst?.();
      this.keepWindow(start, rows);
      this.schedule();
    });
    endOld?.();
  }

  private keepWindow(start: number, rows: Row[]): void {
    this.rows.clear();
    rows.forEach((row, index) => this.rows.set(start + index, row));
  }

  private visible(): { first: number; last: number } {
    const height = this.options.rowHeight();
    const { scrollTop, clientHeight } = this.options.scroller;
    const first = Math.max(0, Math.floor(scrollTop / height));
    return { first, last: Math.min(this.total, Math.ceil((scrollTop + clientHeight) / height)) };
  }

  private schedule(): void {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.draw();
    });
  }

  private draw(): void {
    const height = this.options.rowHeight();
    this.canvas.style.height = `${this.total * height}px`;
    const { first, last } = this.visible();
    const from = Math.max(0, first - overscanRows);
    const to = Math.min(this.total, last + overscanRows);
    while (this.pool.length < to - from) this.pool.push(this.canvas.appendChild(h('div', { class: 'row', role: 'option' })));
    this.pool.forEach((element, slot) => {
      const size = this.pool.length;
      const index = from + ((slot - (from % size) + size) % size);
      element.hidden = index >= to;
      if (!element.hidden) this.drawRow(element, index, height);
    });
    const activeElement = this.active >= 0 ? document.getElementById(`row-${this.active}`) : null;
    if (activeElement) this.options.scroller.setAttribute('aria-activedescendant', activeElement.id);
    else this.options.scroller.removeAttribute('aria-activedescendant');
    this.followScroll();
  }

  private drawRow(element: HTMLElement, index: number, height: number): void {
    const row = this.rows.get(index);
    element.id = `row-${index}`;
    element.dataset.index = String(index);
    element.style.transform = `translateY(${index * height}px)`;
    element.setAttribute('aria-posinset', String(index + 1));
    element.setAttribute('aria-setsize', String(this.total));
    element.setAttribute('aria-selected', String(row !== undefined && idText(row._id) === this.selectedId));
    element.classList.toggle('active', index === this.active);
    element.classList.toggle('waiting', row === undefined);
    this.options.fill(element, row ?? {});
  }

  private onClick(event: Event): void {
    const element = (event.target as Element).closest<HTMLElement>('.row');
    const index = Number(element?.dataset.index ?? -1);
    const row = this.rows.get(index);
    if (!row) return;
    this.active = index;
    this.options.open(row);
    this.schedule();
  }

  private onKey(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.options.scroller.clientHeight / this.options.rowHeight()) - 1);
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -this.total, End: this.total };
    const move = moves[event.key];
    if (move !== undefined && this.total > 0) {
      event.preventDefault();
      const start = this.active < 0 ? this.visible().first - (move > 0 ? 1 : 0) : this.active;
      this.active = Math.min(this.total - 1, Math.max(0, start + move));
      this.reveal(this.active);
      this.schedule();
    } else if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      const row = this.rows.get(this.active);
      if (row) this.options.open(row);
    }
  }

  private reveal(index: number): void {
    const { scroller } = this.options;
    const height = this.options.rowHeight();
    if (index * height < scroller.scrollTop) scroller.scrollTop = index * height;
    else if ((index + 1) * height > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = (index + 1) * height - scroller.clientHeight;
  }
}

/** One text for each document id, whatever its type. */
export function idText(id: unknown): string {
  return typeof id === 'string' ? `"${id}"` : JSON.stringify(id, (_, inner: unknown) => (typeof inner === 'bigint' ? inner.toString() : inner));
}
