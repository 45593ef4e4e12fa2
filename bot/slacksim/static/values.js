// The values of input elements, in the shape in which Slack reports them
// under state.values: {type, selected_option: {…}}, {type, value: "…"} and so on.

const KINDS = {
  plain_text_input: { field: 'value', initial: 'initial_value' },
  email_text_input: { field: 'value', initial: 'initial_value' },
  url_text_input: { field: 'value', initial: 'initial_value' },
  number_input: { field: 'value', initial: 'initial_value' },
  static_select: { field: 'selected_option', initial: 'initial_option' },
  external_select: { field: 'selected_option', initial: 'initial_option' },
  radio_buttons: { field: 'selected_option', initial: 'initial_option' },
  users_select: { field: 'selected_user', initial: 'initial_user' },
  multi_static_select: { field: 'selected_options', initial: 'initial_options', many: true },
  multi_external_select: { field: 'selected_options', initial: 'initial_options', many: true },
  checkboxes: { field: 'selected_options', initial: 'initial_options', many: true },
  multi_users_select: { field: 'selected_users', initial: 'initial_users', many: true },
  datepicker: { field: 'selected_date', initial: 'initial_date' },
  timepicker: { field: 'selected_time', initial: 'initial_time' },
  datetimepicker: { field: 'selected_date_time', initial: 'initial_date_time' },
};

/** Reports whether elements of this type hold a value. */
export function holdsValue(type) {
  return Object.hasOwn(KINDS, type);
}

/** The state of an element that nobody has touched. */
export function initialState(element) {
  const kind = KINDS[element.type];
  return makeState(element, element[kind.initial] ?? (kind.many ? [] : null));
}

/** The state that holds content: text, an option, a user id, or a list of these. */
export function makeState(element, content) {
  return { type: element.type, [KINDS[element.type].field]: content };
}

/** What a state holds: text, an option, a user id, a list, or null. */
export function contentOf(element, state) {
  const kind = KINDS[element.type];
  const content = state ? state[kind.field] : undefined;
  return content ?? (kind.many ? [] : null);
}

/** Reports whether a state holds nothing. */
export function isEmpty(element, state) {
  const content = contentOf(element, state);
  return content === null || content === '' || (Array.isArray(content) && content.length === 0);
}

/** The value that an action carries: option values instead of options. */
export function actionValue(element, state) {
  const content = contentOf(element, state);
  if (Array.isArray(content)) return content.map((item) => item.value ?? item);
  return content !== null && typeof content === 'object' ? content.value : content;
}

/** Why a state may not be submitted, in a sentence; '' if it may. */
export function complaint(block, state) {
  const element = block.element;
  if (isEmpty(element, state)) return block.optional ? '' : 'Please complete this required field.';
  const content = contentOf(element, state);
  if (typeof content !== 'string') return '';
  return lengthComplaint(element, content) || formComplaint(element, content);
}

function lengthComplaint(element, text) {
  const length = [...text].length;
  if (element.min_length && length < element.min_length) return `Please enter at least ${element.min_length} characters.`;
  if (element.max_length && length > element.max_length) return `Please enter at most ${element.max_length} characters (these are ${length}).`;
  return '';
}

function formComplaint(element, text) {
  if (element.type === 'number_input') return numberComplaint(element, text);
  if (element.type === 'email_text_input' && !/^\S+@\S+$/.test(text)) return 'Please enter an e-mail address.';
  if (element.type === 'url_text_input' && !URL.canParse(text)) return 'Please enter a complete URL.';
  return '';
}

function numberComplaint(element, text) {
  const number = Number(text);
  if (Number.isNaN(number)) return 'Please enter a number.';
  if (!element.is_decimal_allowed && !Number.isInteger(number)) return 'Please enter a whole number.';
  if (element.min_value !== undefined && number < Number(element.min_value)) return `Please enter ${element.min_value} or more.`;
  if (element.max_value !== undefined && number > Number(element.max_value)) return `Please enter ${element.max_value} or less.`;
  return '';
}
