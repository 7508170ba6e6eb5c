package ec

import (
	"fmt"

	"github.com/purselane/purselane/card/tlv"
)

// Tags of the data objects used here (EC facts 3).
const (
	TagAID                tlv.Tag = 0x4F
	TagLabel              tlv.Tag = 0x50
	TagTrack2             tlv.Tag = 0x57
	TagPAN                tlv.Tag = 0x5A
	TagHolderName         tlv.Tag = 0x5F20
	TagExpiry             tlv.Tag = 0x5F24
	TagEffective          tlv.Tag = 0x5F25
	TagCurrency           tlv.Tag = 0x5F2A
	TagPSN                tlv.Tag = 0x5F34
	TagAIP                tlv.Tag = 0x82
	TagDFName             tlv.Tag = 0x84
	TagPriority           tlv.Tag = 0x87
	TagCAIndex            tlv.Tag = 0x8F
	TagIssuerCertificate  tlv.Tag = 0x90
	TagIssuerAuth         tlv.Tag = 0x91
	TagIssuerRemainder    tlv.Tag = 0x92
	TagSSAD               tlv.Tag = 0x93
	TagAFL                tlv.Tag = 0x94
	TagTVR                tlv.Tag = 0x95
	TagDate               tlv.Tag = 0x9A
	TagType               tlv.Tag = 0x9C
	TagAmount             tlv.Tag = 0x9F02
	TagAmountOther        tlv.Tag = 0x9F03
	TagCardVersion        tlv.Tag = 0x9F08
	TagTerminalVersion    tlv.Tag = 0x9F09
	TagIAD                tlv.Tag = 0x9F10
	TagLastOnlineATC      tlv.Tag = 0x9F13
	TagCountry            tlv.Tag = 0x9F1A
	TagTime               tlv.Tag = 0x9F21
	TagAC                 tlv.Tag = 0x9F26
	TagCID                tlv.Tag = 0x9F27
	TagIssuerExponent     tlv.Tag = 0x9F32
	TagATC                tlv.Tag = 0x9F36
	TagUN                 tlv.Tag = 0x9F37
	TagPDOL               tlv.Tag = 0x9F38
	TagICCCertificate     tlv.Tag = 0x9F46
	TagICCExponent        tlv.Tag = 0x9F47
	TagICCRemainder       tlv.Tag = 0x9F48
	TagStaticTags         tlv.Tag = 0x9F4A
	TagSDAD               tlv.Tag = 0x9F4B
	TagLogEntry           tlv.Tag = 0x9F4D
	TagMerchantName       tlv.Tag = 0x9F4E
	TagApplicationMoney   tlv.Tag = 0x9F51
	TagAvailable          tlv.Tag = 0x9F5D
	TagProduct            tlv.Tag = 0x9F63
	TagTTQ                tlv.Tag = 0x9F66
	TagProcesses          tlv.Tag = 0x9F68
	TagAuthenticationData tlv.Tag = 0x9F69
	TagCVMLimit           tlv.Tag = 0x9F6B
	TagCTQ                tlv.Tag = 0x9F6C
	TagResetThreshold     tlv.Tag = 0x9F6D
	TagBalanceLimit       tlv.Tag = 0x9F77
	TagSingleLimit        tlv.Tag = 0x9F78
	TagBalance            tlv.Tag = 0x9F79
	TagECSupport          tlv.Tag = 0x9F7A
	TagTransit            tlv.Tag = 0xDF60
	TagTransitSupport     tlv.Tag = 0xDF61
	TagDepositLimit       tlv.Tag = 0xDF62
	TagDepositUsed        tlv.Tag = 0xDF63
	TagSMSupport          tlv.Tag = 0xDF69
	TagLoadLogEntry       tlv.Tag = 0xDF4D
	TagLoadLogFormat      tlv.Tag = 0xDF4F
	TagResponseCode       tlv.Tag = 0x8A
	TagCDOL1              tlv.Tag = 0x8C
	TagCDOL2              tlv.Tag = 0x8D
)

var names = map[tlv.Tag]string{
	TagAID: "AID", TagLabel: "label", TagTrack2: "track 2", TagPAN: "card number", TagHolderName: "holder name", TagExpiry: "expiry",
	TagEffective: "effective date", TagCurrency: "currency", TagPSN: "card sequence number", TagAIP: "AIP", TagDFName: "DF name",
	TagPriority: "priority", TagCAIndex: "CA key index", TagIssuerCertificate: "issuer certificate", TagIssuerAuth: "issuer authentication",
	TagIssuerRemainder: "issuer key remainder", TagSSAD: "signed static data", TagAFL: "AFL", TagTVR: "TVR", TagDate: "date", TagType: "type",
	TagAmount: "amount", TagAmountOther: "other amount", TagCardVersion: "card version", TagTerminalVersion: "terminal version",
	TagIAD: "issuer application data", TagLastOnlineATC: "last online ATC", TagCountry: "terminal country", TagTime: "time", TagAC: "cryptogram",
	TagCID: "cryptogram type", TagIssuerExponent: "issuer key exponent", TagATC: "ATC", TagUN: "unpredictable number", TagPDOL: "PDOL",
	TagICCCertificate: "card certificate", TagICCExponent: "card key exponent", TagICCRemainder: "card key remainder",
	TagStaticTags: "static tag list", TagSDAD: "signed dynamic data", TagLogEntry: "log entry", TagMerchantName: "merchant name",
	TagApplicationMoney: "application currency", TagAvailable: "available amount", TagProduct: "product", TagTTQ: "TTQ",
	TagProcesses: "additional processes", TagAuthenticationData: "card authentication data", TagCVMLimit: "CVM limit", TagCTQ: "CTQ",
	TagResetThreshold: "reset threshold", TagBalanceLimit: "balance limit", TagSingleLimit: "single limit", TagBalance: "balance",
	TagECSupport: "EC support", TagTransit: "transit indicator", TagTransitSupport: "transit support",
	TagDepositLimit: "deposit limit", TagDepositUsed: "deposit used", TagSMSupport: "SM algorithm support",
	TagLoadLogEntry: "load log entry", TagLoadLogFormat: "load log format", TagResponseCode: "response code", TagCDOL1: "CDOL1", TagCDOL2: "CDOL2",
}

// TagName is the data object's name and tag, for people.
func TagName(t tlv.Tag) string {
	if n, ok := names[t]; ok {
		return fmt.Sprintf("%s (%X)", n, uint32(t))
	}
	return fmt.Sprintf("tag %X", uint32(t))
}
