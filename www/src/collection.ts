// What the page knows of each collection: its fields, the columns and orders of its list, and the DQL that asks for them.

import { decimal, dollars, integer, plain, year } from './format.js';

export type Row = Record<string, unknown>;

export interface Field {
  name: string;
  label: string;
  kind: 'choice' | 'number' | 'text';
  choices?: readonly string[];
  /** Takes the whole width of the form. */
  wide?: boolean;
  hint?: string;
}

export interface Column {
  field: string;
  label: string;
  format: (value: unknown) => string;
  number?: boolean;
}

export interface Order {
  label: string;
  field: string;
  descending: boolean;
}

export interface Collection {
  name: string;
  label: string;
  singular: string;
  title: string;
  filter: { field: string; label: string; all: string; none: string };
  columns: readonly Column[];
  orders: readonly Order[];
  fields: readonly Field[];
  /** The second line of a row on a narrow screen. */
  summary: (row: Row) => string;
}

const genres = ['Action', 'Adventure', 'Black Comedy', 'Comedy', 'Concert/Performance', 'Documentary', 'Drama', 'Horror', 'Musical', 'Romantic Comedy', 'Thriller/Suspense', 'Western'];

const movies: Collection = {
  name: 'movies',
  label: 'Movies',
  singular: 'movie',
  title: 'Title',
  filter: { field: 'Major Genre', label: 'Genre', all: 'All genres', none: 'No genre' },
  columns: [
    { field: 'Title', label: 'Title', format: plain },
    { field: 'Major Genre', label: 'Genre', format: plain },
    { field: 'Release Date', label: 'Year', format: year, number: true },
    { field: 'IMDB Rating', label: 'Rating', format: decimal, number: true },
    { field: 'US Gross', label: 'US gross', format: dollars, number: true },
  ],
  orders: [
    { label: 'Highest gross', field: 'US Gross', descending: true },
    { label: 'Best rated', field: 'IMDB Rating', descending: true },
    { label: 'Title', field: 'Title', descending: false },
    { label: 'Most votes', field: 'IMDB Votes', descending: true },
  ],
  fields: [
    { name: 'Title', label: 'Title', kind: 'text', wide: true },
    { name: 'Director', label: 'Director', kind: 'text', wide: true },
    { name: 'Major Genre', label: 'Genre', kind: 'choice', choices: genres },
    { name: 'MPAA Rating', label: 'MPAA rating', kind: 'choice', choices: ['G', 'PG', 'PG-13', 'R', 'NC-17', 'Not Rated', 'Open'] },
    { name: 'Release Date', label: 'Release date', kind: 'text', hint: 'Jun 12 1998' },
    { name: 'Running Time min', label: 'Running time, min', kind: 'number' },
    { name: 'IMDB Rating', label: 'IMDB rating', kind: 'number' },
    { name: 'Rotten Tomatoes Rating', label: 'Rotten Tomatoes, %', kind: 'number' },
    { name: 'Production Budget', label: 'Budget, $', kind: 'number' },
    { name: 'US Gross', label: 'US gross, $', kind: 'number' },
    { name: 'Distributor', label: 'Distributor', kind: 'text', wide: true },
  ],
  summary: (row) => [plain(row['Major Genre']), year(row['Release Date'])].filter((part) => part !== '–').join(' · '),
};

const cars: Collection = {
  name: 'cars',
  label: 'Cars',
  singular: 'car',
  title: 'Name',
  filter: { field: 'Origin', label: 'Origin', all: 'All origins', none: 'No origin' },
  columns: [
    { field: 'Name', label: 'Name', format: plain },
    { field: 'Origin', label: 'Origin', format: plain },
    { field: 'Year', label: 'Year', format: year, number: true },
    { field: 'Miles_per_Gallon', label: 'Miles/gal', format: decimal, number: true },
    { field: 'Horsepower', label: 'Power, hp', format: integer, number: true },
  ],
  orders: [
    { label: 'Most powerful', field: 'Horsepower', descending: true },
    { label: 'Most efficient', field: 'Miles_per_Gallon', descending: true },
    { label: 'Newest', field: 'Year', descending: true },
    { label: 'Name', field: 'Name', descending: false },
  ],
  fields: [
    { name: 'Name', label: 'Name', kind: 'text', wide: true },
    { name: 'Origin', label: 'Origin', kind: 'choice', choices: ['Europe', 'Japan', 'USA'] },
    { name: 'Year', label: 'Year', kind: 'text', hint: '1970-01-01' },
    { name: 'Miles_per_Gallon', label: 'Miles per gallon', kind: 'number' },
    { name: 'Horsepower', label: 'Power, hp', kind: 'number' },
    { name: 'Cylinders', label: 'Cylinders', kind: 'number' },
    { name: 'Displacement', label: 'Displacement, in³', kind: 'number' },
    { name: 'Weight_in_lbs', label: 'Weight, lb', kind: 'number' },
    { name: 'Acceleration', label: '0–60 mph, s', kind: 'number' },
  ],
  summary: (row) => [plain(row.Origin), year(row.Year)].filter((part) => part !== '–').join(' · '),
};

export const collections: readonly Collection[] = [movies, cars];

/** What the person is looking for in one collection. */
export interface View {
  search: string;
  /** undefined: every value; null: documents that have none. */
  filter: string | null | undefined;
  order: Order;
}

export interface Statement {
  text: string;
  args: Record<string, unknown>;
}

export const quoted = (name: string): string => `\`${name}\``;

/** Rows `offset … offset + limit` of a view, with the fields that its list shows. */
export function pageStatement(collection: Collection, view: View, offset: number, limit: number): Statement {
  const { text, args } = whereClause(collection, view);
  const columns = collection.columns.map((column) => quoted(column.field)).join(', ');
  return {
    text: `SELECT _id, ${columns} FROM ${collection.name}${text} ORDER BY ${orderClause(view.order)} LIMIT :limit OFFSET :offset`,
    args: { ...args, limit, offset },
  };
}

export function countStatement(collection: Collection, view: View): Statement {
  const { text, args } = whereClause(collection, view);
  return { text: `SELECT COUNT(*) AS total FROM ${collection.name}${text}`, args };
}

function whereClause(collection: Collection, view: View): Statement {
  const conditions: string[] = [];
  const args: Record<string, unknown> = {};
  if (view.search !== '') {
    conditions.push(`${quoted(collection.title)} ILIKE :search ESCAPE '!'`);
    args.search = `%${view.search.replace(/[!%_]/g, '!$&')}%`;
  }
  const field = quoted(collection.filter.field);
  if (view.filter === null) conditions.push(`(${field} IS NULL OR ${field} IS MISSING)`);
  if (typeof view.filter === 'string') {
    conditions.push(`${field} = :filter`);
    args.filter = view.filter;
  }
  return { text: conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '', args };
}

/** DQL puts null and missing first when descending; a reader wants them last either way. `_id` makes the order total, so that pages do not overlap. */
function orderClause(order: Order): string {
  const field = quoted(order.field);
  return `${field} IS MISSING, ${field} IS NULL, ${field} ${order.descending ? 'DESC' : 'ASC'}, _id`;
}
