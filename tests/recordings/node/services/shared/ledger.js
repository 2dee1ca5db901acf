// The ledger under gRPC: a token in the metadata, and only the holder moves money.
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const jwt = require('jsonwebtoken');

const { shop } = grpc.loadPackageDefinition(loader.loadSync(`${__dirname}/ledger.proto`));

// An Error with a code is what grpc-js's own examples pass on.
const refusal = (code, text) => Object.assign(new Error(text), { code, details: text });

function holder(call) {
  try {
    return jwt.verify((call.metadata.get('authorization')[0] ?? '').replace('Bearer ', ''), process.env.SECRET).sub;
  } catch (error) {
    throw refusal(grpc.status.UNAUTHENTICATED, `token refused: ${error.message}`);
  }
}
const guarded = (work) => (call, answer) => {
  try {
    answer(null, work(call, holder(call)));
  } catch (error) {
    answer(error);
  }
};

const server = new grpc.Server();
server.addService(shop.v1.Ledger.service, {
  getBalance: guarded(() => ({ amount: 100 })),
  transfer: guarded((call, who) => {
    if (call.request.from !== who) throw refusal(grpc.status.PERMISSION_DENIED, `${call.request.from} is not an account of yours`);
    return { amount: 100 - call.request.amount };
  }),
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => console.log(`listening on ${port}`));
