const { exec } = require("child_process");
const util = require("util");
const sh = util.promisify(exec);
const handlers = {
  async adb_shell({ command, device }) {
    const target = device ? `-s ${device}` : "";
    const { stdout } = await sh(`adb ${target} shell ${command}`); // BAD command-injection
    return stdout;
  },
  async adb_devices() {
    return (await sh("adb devices -l")).stdout;
  },
};
server.setRequestHandler(CallToolRequestSchema, async (request) => {
  const handler = handlers[request.params.name];
  return handler(request.params.arguments);
});
