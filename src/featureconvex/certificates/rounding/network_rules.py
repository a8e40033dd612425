"""Which steps the library's own networks consist of."""

from featureconvex.certificates.rounding.rules import batch_norm_step, rule, trace
from featureconvex.nn.convnet import ConvexBlock, ConvexConvNet
from featureconvex.nn.max_affine import MaxAffine
from featureconvex.nn.mlp import ConvexMLP
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import PieceMaximum
from featureconvex.rounding.operators import Dense
from featureconvex.rounding.steps import Affine, Reshape


@rule(ConvexBlock)
def _block(block: ConvexBlock, graph: Graph, node: int) -> int:
    node = trace(block.norm, graph, node)
    return trace(block.activation, graph, graph.add(trace(block.conv, graph, node), node))


@rule(ConvexMLP)
def _mlp(net: ConvexMLP, graph: Graph, node: int) -> int:
    u = graph.apply(Reshape(1, (-1,)), node)
    z = trace(net.input_layers[0], graph, u)
    for i, layer in enumerate(net.hidden_layers):
        z = trace(net.activation, graph, z)
        if len(net.norms):  # one channel: the same coefficients for every unit
            z = graph.apply(batch_norm_step(net.norms[i], trailing=0), z)  # type: ignore[arg-type]
        z = trace(layer, graph, z)
        if len(net.input_layers) > 1:
            z = graph.add(z, trace(net.input_layers[i + 1], graph, u))
    return graph.apply(Reshape(1, ()), z)


@rule(ConvexConvNet)
def _convnet(net: ConvexConvNet, graph: Graph, node: int) -> int:
    for part in (net.first_norm, net.first_conv, net.activation, *net.blocks, net.pooling):
        node = trace(part, graph, node)
    node = graph.apply(Reshape(1, (-1,)), trace(net.last_norm, graph, node))
    return graph.apply(Reshape(1, ()), trace(net.readout, graph, node))


@rule(MaxAffine)
def _max_affine(net: MaxAffine, graph: Graph, node: int) -> int:
    u = graph.apply(Reshape(1, (-1,)), node)
    weight, bias = net.affine.weight.detach().double(), net.affine.bias.detach().double()
    return graph.apply(PieceMaximum(Affine(Dense(weight), bias, bias.abs()), weight), u)
