-- SPDX-License-Identifier: Apache-2.0
-- lasthop.lua - what netshark's captures say of each packet, as fields to
-- filter on in Wireshark and tshark.
--
-- netshark writes it into the comments of packets, as docs/formats/pcapng.md
-- describes: a first line "lasthop 1", then lines "key: value".

local lasthop = Proto("lasthop", "lasthop packet history")

local fields = {
    packet = ProtoField.string("lasthop.packet", "Packet ID"),
    hop = ProtoField.uint32("lasthop.hop", "Hop", base.DEC, nil, nil,
                            "Number on the path, from 0"),
    length = ProtoField.uint32("lasthop.length", "Length", base.DEC, nil, nil,
                               "Hops of the path"),
    switch = ProtoField.string("lasthop.switch", "Switch"),
    ["in"] = ProtoField.string("lasthop.in", "In port"),
    out = ProtoField.string("lasthop.out", "Out port"),
    version = ProtoField.uint32("lasthop.version", "Version", base.DEC, nil,
                                nil, "Of a rule that matched"),
    path = ProtoField.string("lasthop.path", "Path"),
    verdict = ProtoField.string("lasthop.verdict", "Verdict"),
    verdict_text = ProtoField.string("lasthop.verdict_text",
                                     "Verdict in words"),
    rule = ProtoField.string("lasthop.rule", "Rule"),
}
local all = {}
for _, field in pairs(fields) do
    all[#all + 1] = field
end
lasthop.fields = all

local comment_field = Field.new("frame.comment")

-- What a value becomes in the tree.
local adders = {
    hop = function(tree, value) tree:add(fields.hop, tonumber(value)) end,
    length = function(tree, value)
        tree:add(fields.length, tonumber(value))
    end,
    version = function(tree, value)
        for number in value:gmatch("%d+") do
            tree:add(fields.version, tonumber(number))
        end
    end,
    verdict = function(tree, value)
        tree:add(fields.verdict, value:match("^%a+") or value)
        tree:add(fields.verdict_text, value)
    end,
}

local function dissect_comment(comment, root)
    local tree = root:add(lasthop)
    for line in comment:gmatch("[^\n]+") do
        local key, value = line:match("^(%a+): (.*)$")
        if key == "path" then
            tree:append_text(": " .. value)
        end
        if key and adders[key] then
            adders[key](tree, value)
        elseif key and fields[key] then
            tree:add(fields[key], value)
        end
    end
end

function lasthop.dissector(buffer, pinfo, root)
    for _, comment in ipairs({comment_field()}) do
        local text = tostring(comment.value)
        if text:match("^lasthop 1\n") then
            dissect_comment(text, root)
        end
    end
end

-- Every packet, after its own dissectors.
register_postdissector(lasthop)
