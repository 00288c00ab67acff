// Small helpers to make and change elements. No state of their own.

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, unknown>;

/** Makes an element: `on…` keys are listeners, `class` and other keys attributes; `true` is an empty attribute, `false` and null leave it out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

/** The same for SVG. */
export function s(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  assign(element, attributes);
  append(element, children);
  return element;
}

function assign(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith('on') && typeof value === 'function') {
      element.addEventListener(name.slice(2), value as EventListener);
    } else {
      element.setAttribute(name, value === true ? '' : String(value));
    }
  }
}

function append(element: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Finds the element of an id that index.html promises. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}`);
  return element as T;
}

/** Sets text only where it differs, so that screen readers and the layout stay quiet. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Runs a function once after the last call of a burst. */
export function debounced(milliseconds: number, run: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds);
  };
}

/** The icons, as 20 × 20 outlines drawn by hand. */
const outlines: Record<string, string> = {
  back: 'M12.5 4.5 7 10l5.5 5.5',
  plus: 'M10 4v12M4 10h12',
  search: 'M9 3.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11ZM13.2 13.2 17 17',
  list: 'M4 5.5h12M4 10h12M4 14.5h12',
  peers: 'M10 3.2a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM4.6 12.6a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM15.4 12.6a2 2 0 1 1 0 4 2 2 0 0 1 0-4ZM9 7 5.6 12.7M11 7l3.4 5.7M6.6 14.6h6.8',
  console: 'M4 5.5 8.5 10 4 14.5M10.5 15H16',
  detail: 'M4.5 4h11v12h-11zM7.5 8h5M7.5 12h5',
  install: 'M10 3.5v8.2M6.5 8.5 10 12l3.5-3.5M4 16h12',
};

export function icon(name: keyof typeof outlines): SVGElement {
  return s('svg', { viewBox: '0 0 20 20', class: 'icon', 'aria-hidden': 'true' }, s('path', { d: outlines[name] }));
}
