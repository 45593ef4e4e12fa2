// An app made with Slack's own framework, as a second opinion about the local Slack. It prints
// one line of JSON for each thing that it receives. Arguments: the API's address. With
// SIGNING_SECRET it is in HTTP mode, at a port that it prints.
const { App, LogLevel } = require('@slack/bolt');

const say = (what, more) => console.log(JSON.stringify({ what, ...more }));
const plain = (text) => ({ type: 'plain_text', text });

const signingSecret = process.env.SIGNING_SECRET;
const app = new App({
  token: process.env.BOT_TOKEN,
  ...(signingSecret ? { signingSecret } : { appToken: process.env.APP_TOKEN, socketMode: true }),
  logLevel: LogLevel.ERROR,
  clientOptions: { slackApiUrl: process.argv[2] },
});

app.command('/access', async ({ command, ack, client }) => {
  await ack({ text: `got ${command.text}`, response_type: 'ephemeral' });
  await client.views.open({
    trigger_id: command.trigger_id,
    view: {
      type: 'modal', callback_id: 'ask', title: plain('Ask'), submit: plain('Send'),
      blocks: [
        { type: 'input', block_id: 'why', label: plain('Why'), element: { type: 'plain_text_input', action_id: 'why' } },
        { type: 'input', block_id: 'what', optional: true, label: plain('What'), element: { type: 'external_select', action_id: 'what', min_query_length: 0 } },
      ],
    },
  });
  say('command', { text: command.text });
});

app.options('what', async ({ options, ack }) => {
  await ack({ options: [{ text: plain(`for ${options.value}`), value: 'one' }] });
});

app.view('ask', async ({ ack, view, client, body }) => {
  const why = view.state.values.why.why.value;
  if (why.length < 3) {
    await ack({ response_action: 'errors', errors: { why: 'say more' } });
    return;
  }
  await ack();
  await client.chat.postMessage({
    channel: 'C0ACCESS', text: `<@${body.user.id}> asks`,
    blocks: [{
      type: 'actions', block_id: 'decide', elements: [
        { type: 'static_select', action_id: 'expiry', placeholder: plain('Expiry'), options: [{ text: plain('1 hour'), value: '1h' }] },
        { type: 'button', action_id: 'approve', text: plain('Approve'), value: 'r1', style: 'primary' },
      ],
    }],
  });
  say('view', { why, chosen: view.state.values.what.what.selected_option });
});

app.action('expiry', async ({ ack }) => { await ack(); });

app.action('approve', async ({ ack, body, client, respond }) => {
  await ack();
  const chosen = body.state.values.decide.expiry.selected_option;
  await client.chat.update({ channel: body.channel.id, ts: body.message.ts, text: 'approved', blocks: [] });
  await respond({ text: 'thank you', response_type: 'ephemeral', replace_original: false });
  say('action', { by: body.user.id, value: body.actions[0].value, expiry: chosen && chosen.value });
});

app.message('hello', async ({ message, client }) => {
  const info = await client.users.info({ user: message.user });
  const history = await client.conversations.history({ channel: message.channel, limit: 1 });
  say('message', { text: message.text, email: info.user.profile.email, last: history.messages.length });
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({ user_id: event.user, view: { type: 'home', blocks: [{ type: 'divider' }] } });
  say('home', { tab: event.tab });
});

app.shortcut('request_access', async ({ shortcut, ack }) => {
  await ack();
  say('shortcut', { user: shortcut.user.id });
});

app.error(async (error) => say('error', { error: String(error) }));

(async () => {
  const server = await app.start(signingSecret ? { port: 0, host: '127.0.0.1' } : undefined);
  say('ready', signingSecret ? { port: server.address().port } : {});
})();
