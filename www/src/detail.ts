// One document: shows it, saves each field as soon as it is left, makes new ones and deletes.

import type { Ditto } from 'shoal';
import { type Collection, type Field, quoted, type Row } from './collection.js';
import { byId, h, icon, setText } from './dom.js';
import { json, plain } from './format.js';
import { idText } from './list.js';

export interface DetailOptions {
  ditto: Ditto;
  opened: (id: string | undefined) => void;
  close: () => void;
  failed: (error: unknown) => void;
  said: (text: string, action?: { label: string; run: () => void }) => void;
}

type Control = HTMLInputElement | HTMLSelectElement;

export class Detail {
  private endWatch: (() => void) | undefined;
  private controls = new Map<string, Control>();
  private stored: Row = {};
  private readonly root = byId('detail');

  constructor(private readonly options: DetailOptions) {
    this.clear();
  }

  /** Nothing chosen. */
  clear(): void {
    this.stop();
    this.options.opened(undefined);
    this.root.replaceChildren(
      h('div', { class: 'blank' }, h('div', { class: 'mark' }, icon('detail')), h('h2', {}, 'Nothing chosen'),
        h('p', {}, 'Choose a document in the list to see and edit it. Every change is saved here first, then synced.')),
    );
  }

  open(collection: Collection, id: unknown): void {
    this.stop();
    this.options.opened(idText(id));
    this.stored = {};
    let drawn = false;
    const observer = this.options.ditto.store.registerObserver<Row>(
      `SELECT * FROM ${collection.name} WHERE _id = :id`,
      (result) => {
        const row = result.items[0]?.value;
        if (!row) {
          if (drawn) this.drawGone(collection);
          return;
        }
        if (!drawn) this.draw(collection, row);
        drawn = true;
        this.update(collection, row);
      },
      { id },
    );
    this.endWatch = () => observer.cancel();
  }

  /** A form for a document that is not there yet. */
  create(collection: Collection): void {
    this.stop();
    this.options.opened(undefined);
    this.stored = {};
    const form = h('form', { class: 'form', novalidate: true }, ...collection.fields.map((field) => this.field(field)));
    const create = h('button', { type: 'submit', class: 'primary' }, `Create ${collection.singular}`);
    const cancel = h('button', { type: 'button', onclick: () => this.back() }, 'Cancel');
    form.append(h('div', { class: 'actions wide' }, create, cancel));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.insert(collection);
    });
    this.root.replaceChildren(this.header(`New ${collection.singular}`, `Will be added to ${collection.name}`), form);
    this.root.scrollTop = 0;
    this.controls.get(collection.title)?.focus({ preventScroll: true });
  }

  private stop(): void {
    this.endWatch?.();
    this.endWatch = undefined;
    this.controls.clear();
  }

  private back(): void {
    this.clear();
    this.options.close();
  }

  private header(title: string, subtitle: string): HTMLElement {
    return h('header', { class: 'detail-head' },
      h('button', { type: 'button', class: 'ghost back', 'aria-label': 'Back to the list', onclick: () => this.back() }, icon('back')),
      h('div', {}, h('h2', { id: 'detail-title', tabindex: '-1' }, title), h('p', { class: 'subtle mono', id: 'detail-id' }, subtitle)));
  }

  private draw(collection: Collection, row: Row): void {
    const form = h('form', { class: 'form', novalidate: true, onsubmit: (event: Event) => event.preventDefault() });
    form.append(...collection.fields.map((field) => this.field(field, () => void this.save(collection, field))));
    form.append(h('div', { class: 'wide', id: 'others' }), h('div', { class: 'actions wide' }, this.deleteButton(collection)));
    this.root.replaceChildren(this.header('', `_id ${idText(row._id)}`), form);
    this.root.scrollTop = 0;
  }

  private update(collection: Collection, row: Row): void {
    const before = this.stored;
    this.stored = row;
    setText(byId('detail-title'), plain(row[collection.title]));
    for (const field of collection.fields) {
      const control = this.controls.get(field.name);
      if (!control) continue;
      const shown = controlText(row[field.name]);
      const untouched = control.value === controlText(before[field.name]);
      if (document.activeElement !== control || untouched) setControl(control, shown);
      else if (shown !== controlText(before[field.name])) this.note(field, `Changed elsewhere to “${shown || 'no value'}”`);
    }
    const known = new Set(['_id', ...collection.fields.map((field) => field.name)]);
    const others = Object.entries(row).filter(([name]) => !known.has(name));
    byId('others').replaceChildren(
      ...(others.length > 0
        ? [h('details', {}, h('summary', {}, `${others.length} other fields`), h('dl', { class: 'pairs' }, ...others.flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, typeof value === 'string' ? value : json(value))])))]
        : []),
    );
  }

  private field(field: Field, changed?: () => void): HTMLElement {
    const id = `field-${field.name.replace(/\W+/g, '-')}`;
    const common = { id, name: field.name, autocomplete: 'off', 'aria-describedby': `${id}-note`, onchange: changed };
    const control: Control = field.kind === 'choice'
      ? h('select', common, h('option', { value: '' }, '–'), ...(field.choices ?? []).map((choice) => h('option', { value: choice }, choice)))
      : h('input', { ...common, type: 'text', inputmode: field.kind === 'number' ? 'decimal' : undefined, placeholder: field.hint ?? '' });
    this.controls.set(field.name, control);
    return h('div', { class: field.wide ? 'field wide' : 'field' }, h('label', { for: id }, field.label), control, h('p', { class: 'note', id: `${id}-note`, 'aria-live': 'polite' }));
  }

  private note(field: Field, text: string, bad = false): void {
    const note = document.getElementById(`field-${field.name.replace(/\W+/g, '-')}-note`);
    if (!note) return;
    setText(note, text);
    note.classList.toggle('bad', bad);
    this.controls.get(field.name)?.toggleAttribute('aria-invalid', bad);
  }

  private async save(collection: Collection, field: Field): Promise<void> {
    const control = this.controls.get(field.name);
    const id = this.stored._id;
    if (!control || id === undefined) return;
    const value = controlValue(field, control.value);
    if (value === undefined) return this.note(field, 'Please write a number.', true);
    if (field.name === collection.title && value === null) return this.note(field, `A ${collection.singular} needs a ${field.label.toLowerCase()}.`, true);
    if (controlText(value) === controlText(this.stored[field.name])) return this.note(field, '');
    try {
      await this.options.ditto.store.execute(`UPDATE ${collection.name} SET ${quoted(field.name)} = :value WHERE _id = :id`, { value, id });
      this.note(field, 'Saved on this device');
      setTimeout(() => this.note(field, ''), 2500);
    } catch (error) {
      this.note(field, error instanceof Error ? error.message : String(error), true);
      this.options.failed(error);
    }
  }

  private async insert(collection: Collection): Promise<void> {
    const doc: Row = {};
    for (const field of collection.fields) {
      const value = controlValue(field, this.controls.get(field.name)?.value ?? '');
      if (value === undefined) {
        this.note(field, 'Please write a number.', true);
        return this.controls.get(field.name)?.focus();
      }
      if (field.name === collection.title && value === null) {
        this.note(field, `A ${collection.singular} needs a ${field.label.toLowerCase()}.`, true);
        return this.controls.get(field.name)?.focus();
      }
      doc[field.name] = value;
    }
    try {
      const result = await this.options.ditto.store.execute(`INSERT INTO ${collection.name} DOCUMENTS (:doc)`, { doc });
      this.options.said(`Created “${plain(doc[collection.title])}”`);
      this.open(collection, result.mutatedDocumentIDsV2()[0]);
    } catch (error) {
      this.options.failed(error);
    }
  }

  /** The first press asks, the second deletes: no dialog, and the toast can undo. */
  private deleteButton(collection: Collection): HTMLElement {
    const button = h('button', { type: 'button', class: 'danger', id: 'delete' }, `Delete this ${collection.singular}`);
    let asked = false;
    const calm = (): void => {
      asked = false;
      button.classList.remove('armed');
      setText(button, `Delete this ${collection.singular}`);
    };
    button.addEventListener('click', () => {
      if (asked) return void this.remove(collection);
      asked = true;
      button.classList.add('armed');
      setText(button, 'Press again to delete');
    });
    button.addEventListener('blur', calm);
    return button;
  }

  private async remove(collection: Collection): Promise<void> {
    const doc = this.stored;
    try {
      this.stop();
      await this.options.ditto.store.execute(`DELETE FROM ${collection.name} WHERE _id = :id`, { id: doc._id });
      this.back();
      this.options.said(`Deleted “${plain(doc[collection.title])}”`, { label: 'Undo', run: () => void this.restore(collection, doc) });
    } catch (error) {
      this.options.failed(error);
      this.open(collection, doc._id);
    }
  }

  private async restore(collection: Collection, doc: Row): Promise<void> {
    try {
      await this.options.ditto.store.execute(`INSERT INTO ${collection.name} DOCUMENTS (:doc) ON ID CONFLICT DO UPDATE`, { doc });
      this.open(collection, doc._id);
    } catch (error) {
      this.options.failed(error);
    }
  }

  private drawGone(collection: Collection): void {
    this.stop();
    this.options.opened(undefined);
    this.root.replaceChildren(
      this.header('Deleted', `This ${collection.singular} was deleted on another peer`),
      h('div', { class: 'blank' }, h('button', { type: 'button', onclick: () => this.back() }, 'Back to the list')),
    );
  }
}

const controlText = (value: unknown): string => (value === null || value === undefined ? '' : typeof value === 'object' ? json(value) : String(value));

/** null for an empty control, undefined for text that is no number where one is due. */
function controlValue(field: Field, text: string): number | string | null | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return null;
  if (field.kind !== 'number') return trimmed;
  const number = Number(trimmed.replace(/,/g, ''));
  return Number.isFinite(number) ? number : undefined;
}

/** A choice that is not on the list is added to it, so that no value is hidden. */
function setControl(control: Control, text: string): void {
  if (control instanceof HTMLSelectElement && ![...control.options].some((option) => option.value === text)) {
    control.append(h('option', { value: text }, text));
  }
  if (control.value !== text) control.value = text;
}
