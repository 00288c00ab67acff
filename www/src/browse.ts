// The collection in sight: the segmented control, search, filter, order, and the list that follows them.

import type { Ditto } from 'shoal';
import { type Collection, collections, countStatement, type Order, pageStatement, type Row, type View } from './collection.js';
import { byId, debounced, h, setText } from './dom.js';
import { count, plural } from './format.js';
import { type RowSource, VirtualList } from './list.js';

const rowHeightWide = 44;
const rowHeightNarrow = 62;

export interface BrowseOptions {
  ditto: Ditto;
  open: (collection: Collection, id: unknown) => void;
  create: (collection: Collection) => void;
  collectionChanged: (collection: Collection) => void;
  failed: (error: unknown) => void;
}

export class Browse {
  collection: Collection = collections[0]!;
  private views = new Map<string, View>(collections.map((one) => [one.name, { search: '', filter: undefined, order: one.orders[0]! }]));
  private endCount: (() => void) | undefined;
  private everAnswered = false;
  private total = 0;
  private readonly list: VirtualList;
  private readonly narrow = matchMedia('(max-width: 899px)');
  private readonly search = byId<HTMLInputElement>('search');
  private readonly filter = byId<HTMLSelectElement>('filter');
  private readonly order = byId<HTMLSelectElement>('order');

  constructor(private readonly options: BrowseOptions) {
    this.list = new VirtualList({
      scroller: byId('list'),
      rowHeight: () => (this.narrow.matches ? rowHeightNarrow : rowHeightWide),
      fill: (element, row) => this.fillRow(element, row),
      open: (row) => this.options.open(this.collection, row._id),
    });
    this.narrow.addEventListener('change', () => this.list.refresh());
    const scroller = byId('list');
    byId('head').style.setProperty('--gutter', `${scroller.offsetWidth - scroller.clientWidth}px`);
    this.drawSegments();
    this.search.addEventListener('input', debounced(80, () => this.change({ search: this.search.value.trim() })));
    this.filter.addEventListener('change', () => {
      const value = this.filter.value;
      this.change({ filter: value === 'all' ? undefined : value === 'none' ? null : value.slice('is '.length) });
    });
    this.order.addEventListener('change', () => this.change({ order: this.collection.orders[Number(this.order.value)]! }));
    byId('create').addEventListener('click', () => this.options.create(this.collection));
    byId('clear').addEventListener('click', () => this.clear());
    this.watchSizes();
    this.show(this.collection);
  }

  get view(): View {
    return this.views.get(this.collection.name)!;
  }

  select(id: string | undefined): void {
    this.list.select(id);
  }

  private show(collection: Collection): void {
    this.collection = collection;
    for (const button of byId('collections').querySelectorAll('button')) {
      if (button.dataset.name === collection.name) button.setAttribute('aria-current', 'page');
      else button.removeAttribute('aria-current');
    }
    this.search.placeholder = `Search ${collection.label.toLowerCase()}`;
    this.search.setAttribute('aria-label', this.search.placeholder);
    this.search.value = this.view.search;
    byId('create-label').textContent = `New ${collection.singular}`;
    byId('list').setAttribute('aria-label', collection.label);
    this.filter.setAttribute('aria-label', collection.filter.label);
    this.drawFilter();
    this.order.replaceChildren(...collection.orders.map((order, index) => h('option', { value: index, selected: order === this.view.order }, order.label)));
    this.options.collectionChanged(collection);
    this.run();
  }

  private change(change: Partial<View>): void {
    this.views.set(this.collection.name, { ...this.view, ...change });
    this.run();
  }

  private clear(): void {
    this.search.value = '';
    this.filter.value = 'all';
    this.change({ search: '', filter: undefined });
    this.search.focus();
  }

  /** Watches the number of matches and hands the list the rows of the present view. */
  private run(): void {
    const { collection, view } = this;
    this.drawHead();
    const { text, args } = countStatement(collection, view);
    this.endCount?.();
    this.endCount = this.observe(text, args, (rows) => {
      this.total = Number(rows[0]?.total ?? 0);
      this.everAnswered = true;
      this.list.setTotal(this.total);
      this.drawEmpty();
    });
    const source: RowSource = {
      watch: (offset, limit, changed) => {
        const page = pageStatement(collection, view, offset, limit);
        return this.observe(page.text, page.args, changed);
      },
    };
    this.list.show(source);
  }

  private observe(text: string, args: Record<string, unknown>, changed: (rows: Row[]) => void): () => void {
    try {
      const observer = this.options.ditto.store.registerObserver<Row>(text, (result) => changed(result.items.map((item) => item.value)), args);
      return () => observer.cancel();
    } catch (error) {
      this.options.failed(error);
      return () => undefined;
    }
  }

  private drawSegments(): void {
    byId('collections').replaceChildren(
      ...collections.map((collection) =>
        h('button', { type: 'button', 'data-name': collection.name, onclick: () => this.show(collection) },
          collection.label, ' ', h('span', { class: 'size', 'data-size': collection.name }, ' ')),
      ),
    );
  }

  private watchSizes(): void {
    for (const collection of collections) {
      const { text, args } = countStatement(collection, { search: '', filter: undefined, order: collection.orders[0]! });
      this.observe(text, args, (rows) => {
        const element = document.querySelector(`[data-size="${collection.name}"]`);
        if (element) setText(element, count(Number(rows[0]?.total ?? 0)));
      });
    }
  }

  private drawFilter(): void {
    const { filter, fields } = this.collection;
    const choices = fields.find((field) => field.name === filter.field)?.choices ?? [];
    const chosen = this.view.filter;
    this.filter.replaceChildren(
      h('option', { value: 'all', selected: chosen === undefined }, filter.all),
      ...choices.map((choice) => h('option', { value: `is ${choice}`, selected: chosen === choice }, choice)),
      h('option', { value: 'none', selected: chosen === null }, filter.none),
    );
  }

  /** The column heads; a click sorts by a column that has an order. */
  private drawHead(): void {
    const cells = this.collection.columns.map((column) => {
      const order = this.collection.orders.find((one) => one.field === column.field);
      const sorted = this.view.order.field === column.field;
      const label = sorted ? `${column.label} ${this.view.order.descending ? '↓' : '↑'}` : column.label;
      const cell = { class: column.number ? 'number' : '' };
      return order
        ? h('button', { ...cell, type: 'button', 'aria-pressed': String(sorted), title: `Sort by ${column.label}`, onclick: () => this.sortBy(order) }, label)
        : h('span', cell, label);
    });
    byId('head').replaceChildren(...cells);
  }

  private sortBy(order: Order): void {
    this.order.value = String(this.collection.orders.indexOf(order));
    this.change({ order });
  }

  private fillRow(element: HTMLElement, row: Row): void {
    const { columns, summary } = this.collection;
    while (element.children.length < columns.length + 1) element.append(h('span'));
    columns.forEach((column, index) => {
      const cell = element.children[index] as HTMLElement;
      cell.className = column.number ? 'number' : index === 0 ? 'title' : '';
      setText(cell, '_id' in row ? column.format(row[column.field]) : '');
    });
    const second = element.children[columns.length] as HTMLElement;
    second.className = 'summary';
    setText(second, '_id' in row ? summary(row) : '');
  }

  private drawEmpty(): void {
    const searching = this.view.search !== '' || this.view.filter !== undefined;
    byId('loading').hidden = this.everAnswered;
    byId('empty').hidden = this.total > 0 || searching;
    byId('no-match').hidden = this.total > 0 || !searching;
    setText(byId('no-match-text'), `No ${this.collection.label.toLowerCase()} match this search.`);
    setText(byId('matches'), searching ? plural(this.total, 'match', 'matches') : '');
  }
}
