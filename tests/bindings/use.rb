# frozen_string_literal: true

# SPDX-License-Identifier: MIT
# Each way into a mapping and out of it. TELL is a command that tells the gateway something.
def tell(*words) = IO.popen([*ENV.fetch('TELL').split, *words], &:read)
def open?(protocol, priv, mapped) = tell('mappings').match?(/^#{protocol} [\d.]+:#{priv} -> #{mapped} /)

def expect(what, is, should = true)
  abort "FAILED: #{what}: #{is.inspect}, not #{should.inspect}" unless is == should
end

def await(what)
  200.times do
    return if yield
    sleep 0.05
  end
  abort "FAILED: never came true: #{what}"
end

# Held: what a block gives, and what the mapping tells, also when the gateway forgets all.
value = NATPMP.map(633, 13_033, 4, :tcp) do |map|
  expect 'open inside', open?('tcp', 633, 13_033)
  expect 'up', map.up?
  expect 'external address', map.external_address, '11.22.33.44'
  expect 'own address', map.internal_address, '127.0.0.1'
  expect 'expires within its lifetime', map.expires_in.between?(0.001, 4)
  expect 'no try to come', map.retry_in, nil
  expect 'no result code', map.result, 0
  tell 'port', '13044'
  tell 'restart'
  tell 'announce'
  await('another port') { map.mapped == 13_044 && map.up? }
  expect 'port that was asked for', map.pub, 13_033
  :value
end
expect 'value of the block', value, :value
expect 'closed', tell('mappings'), "ok 0\n"

# Renewed while Ruby does nothing but compute, by a thread that is not Ruby's.
tell 'port', 'off'
NATPMP.map(634, 0, 2, :udp) do |map|
  busy_until = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 3
  nil while Process.clock_gettime(Process::CLOCK_MONOTONIC) < busy_until
  expect 'still open', open?('udp', 634, map.mapped)
end

# Left in every way that Ruby has.
begin
  NATPMP.map(635) { raise ArgumentError, 'mine' }
rescue ArgumentError => e
  expect 'exception', e.message, 'mine'
end
expect('break', NATPMP.map(636) { break 7 }, 7)
expect('throw', catch(:away) { NATPMP.map(637) { throw :away, 8 } }, 8)
expect 'all closed', tell('mappings'), "ok 0\n"

# Left to its lifetime.
map = NATPMP.map(0, 0, 60, :both)
expect 'a port was picked', map.priv.between?(1, 65_535)
expect 'TCP of both', open?('tcp', map.priv, map.mapped)
expect 'UDP of both', open?('udp', map.priv, map.mapped)
expect 'address', NATPMP.addr, '11.22.33.44'

# That external port or none.
tell 'port', '1055'
begin
  NATPMP.map(640, 1044, 10, :tcp, flags: NATPMP::EXACT_PORT)
  abort 'FAILED: took another port'
rescue NATPMP::Error => e
  expect 'status of another port', e.status, -68
end
tell 'port', 'off'

# Each dialect, and PCP where both are spoken.
tell 'profile', 'rfc-pcp'
%i[natpmp pcp].each do |named|
  NATPMP.map(641, 0, 10, :tcp, dialect: named) { |map| expect 'dialect', map.dialect, named }
end
expect 'dialect by a String', NATPMP.map(641, 0, 10, :tcp, dialect: 'natpmp', &:dialect), :natpmp
NATPMP.map(641, 0, 4, :tcp) do |map|
  expect 'PCP comes first', map.dialect, :pcp
  expect 'address', map.external_address, '11.22.33.44'
  tell 'profile', 'rfc' # its router is one without PCP now
  await('moved to NAT-PMP') { map.dialect == :natpmp && map.up? }
end
tell 'profile', 'rfc-pcp'
tell 'restart'

# The gateway checks nonces, which come of the secret.
secret = "\0 is a byte, too"
mine = { dialect: :pcp, secret: secret }
2.times { NATPMP.map(642, 0, 60, :tcp, **mine) }
begin
  NATPMP.map(642, 0, 60, :tcp, **mine, secret: secret.sub('too', '200'))
  abort 'FAILED: renewed with another secret'
rescue NATPMP::Error => e
  expect 'status of another secret', e.status, -62
end
NATPMP.map(642, 0, 60, :tcp, **mine) { expect 'open inside', open?('tcp', 642, 642) }
expect 'closed', tell('mappings'), "ok 0\n"

# IPv6, if there is any.
port6 = ENV.fetch('PORT6')
[6, :ipv6].each do |family|
  next if port6.empty?

  NATPMP.map(643, 0, 10, :tcp, family: family, gateway: '::1', gateway_port: port6.to_i) do |map|
    expect 'own address', map.internal_address, '::1'
    expect 'dialect', map.dialect, :pcp
    expect 'shown', map.inspect.include?('-> [::1]:643 for')
    expect 'open inside', tell('mappings').include?('tcp [::1]:643 -> 643 ')
  end
end
begin
  NATPMP.addr(family: 6, dialect: :natpmp, gateway: '::1', secret: secret)
  abort 'FAILED: taken: IPv6 by NAT-PMP'
rescue NATPMP::Error => e
  expect 'status of IPv6 by NAT-PMP', e.status, -1
  expect 'secret in a message', e.message.include?('is a byte'), false
end

# Refused, and wrong.
tell 'profile', 'rfc'
tell 'result', '2'
begin
  NATPMP.map(638) { abort 'FAILED: ran without a mapping' }
rescue NATPMP::Error => e
  expect 'status', e.status, -62
end
{ [1, 0, 10, :sctp] => 'sctp', [65_536] => '65536', [1, -1] => '-1' }.each do |arguments, named|
  NATPMP.map(*arguments)
  abort "FAILED: taken: #{arguments}"
rescue ArgumentError => e
  expect "#{e.message} names #{named}", e.message.include?(named)
end
{ { dialect: :upnp } => 'upnp', { family: 5 } => '5', { secret: 'short' } => '16',
  { secret: 'x' * 65 } => '64', { secret: 1 } => 'String' }.each do |options, named|
  NATPMP.addr(**options)
  abort "FAILED: taken: #{options}"
rescue ArgumentError => e
  expect "#{e.message} names #{named}", e.message.include?(named)
end
begin
  NATPMP.map(1, gateway: 'bogus')
  abort 'FAILED: taken: gateway bogus'
rescue NATPMP::Error => e
  expect "#{e.message} names bogus", e.message.include?('bogus')
end
puts 'all as expected'
